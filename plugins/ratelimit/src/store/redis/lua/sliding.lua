-- `sliding_window`. Only in the script of requests that have one.

-- A log of the times of all requests: a head of 24 bytes (magic, sum, entries in front that count no more), then 12 bytes
-- for each (time, cost), oldest first. A short one is read and written as a whole; of a long one, only what is needed.
local HEAD, SHORT = 24, 1536

local function head(total, dead)
  return struct.pack('>c4I8I8I4', 'tgs1', max(total, 0), dead, 0)
end

local function entry(log, p)
  return struct.unpack('>I7I5', log, p)
end

-- The sum, and the place of the first entry that counts; nothing of what isn't a log.
local function head_of(value, length)
  if value and length >= HEAD and length % 12 == 0 and string.sub(value, 1, 4) == 'tgs1' then
    local total, dead = struct.unpack('>I8I8', value, 5)
    local first = HEAD + dead * 12 + 1
    if total <= MOST and first <= length + 1 then return total, first end
  end
end

-- A log as a whole -> sum, place of the first entry that counts, the log.
local function whole(value, window)
  local total, first = head_of(value, value and #value or 0)
  if not total then total, first, value = 0, HEAD + 1, head(0, 0) end
  if #value > HEAD and entry(value, #value - 11) > now + SKEW then
    -- The clock was ahead: what lies in the future is now, and no earlier than what came before.
    was_ahead = true
    local fixed, latest = {}, now
    for p = first, #value, 12 do
      local time, cost = entry(value, p)
      if time > now + SKEW then time = latest else latest = max(time, now) end
      fixed[#fixed + 1] = struct.pack('>I7I5', time, cost)
    end
    value, first = head(total, 0) .. table.concat(fixed), HEAD + 1
  end
  while first < #value do
    local time, cost = entry(value, first)
    if now < time + window then break end
    total, first = total - cost, first + 12
  end
  return first < #value and min(max(total, 0), MOST) or 0, first, value
end

-- One more entry: of now, or joined to the newest if that is of the same time, or if there are too many. Returns whether
-- it is joined, the entry, and by how much the sum has grown.
local function one_more(newest, had, entries, limit, cost)
  local joined = newest and (newest >= now or entries >= 2 * limit + 16)
  local before = joined and had or 0
  local sum = min(before + cost, 4294967295)
  return joined, struct.pack('>I7I5', joined and max(newest, now) or now, sum), sum - before
end

local function pushed(value, first, total, limit, cost)
  local last, newest, had = #value - 11, nil, nil
  if last >= first then newest, had = entry(value, last) end
  local joined, new, more = one_more(newest, had, (#value - first + 1) / 12, limit, cost)
  return head(total + more, 0) .. string.sub(value, first, joined and last - 1 or #value) .. new
end

-- The log from `first` on without the last `cost` units.
local function given_back(value, first, total, cost)
  local last = #value - 11
  while last >= first and cost > 0 do
    local time, had = entry(value, last)
    local less = min(had, cost)
    cost, total = cost - less, total - less
    if less < had then
      return head(total, 0) .. string.sub(value, first, last - 1) .. struct.pack('>I7I5', time, had - less)
    end
    last = last - 12
  end
  return last >= first and head(total, 0) .. string.sub(value, first, last + 11)
end

-- From now until so much has left that the cost fits; a whole window if it never can. `at`: (entry's number) -> time,
-- cost, or nothing at the end.
local function room_at(at, total, limit, window, cost)
  if cost > limit then return window end
  for n = 0, math.huge do
    local time, had = at(n)
    if not time then return window end
    total = total - had
    if total + cost <= limit then return time + window - now end
  end
end

local function sliding_whole(value, limit, length, units)
  local total, first, new = whole(value, length)
  local function reset()
    return new and #new > first and entry(new, #new - 11) + length - now or 0
  end
  local was, retry, taken = reset(), 0, nil
  if not charging then
    taken = granted(limit - total, units, -1)
    if not taken then
      local function at(n)
        local p = first + n * 12
        if p < #new then return entry(new, p) end
      end
      retry = room_at(at, total, limit, length, max(units, 1))
    end
  end
  if (taken or 0) > 0 or (charging and units > 0) then
    new, first = pushed(new, first, total, limit, taken or units), HEAD + 1
  elseif charging then
    new, first = given_back(new, first, total, -units), HEAD + 1
  end
  return taken, new, reset(), total, was, retry
end

-- Entries of a long log by their number from `first` on, read in pieces.
local function reader(key, first)
  local piece, from, many = '', 0, 32
  return function(n)
    local p = (n - from) * 12 + 1
    if p > #piece then
      from, many = n, many * 2
      local begin = first - 1 + n * 12
      piece, p = redis.call('GETRANGE', key, begin, begin + many * 12 - 1), 1
    end
    if p < #piece then return entry(piece, p) end
  end
end

-- A take of a long log: what has left is counted off in front, what is new is appended. `nil` if it has to be read as a
-- whole: it is no log, a clock was ahead, or most of it is to be thrown away.
local function sliding_long(key, value, limit, length, units)
  local size = redis.call('STRLEN', key)
  local total, first = head_of(value, size)
  if not total or first > size then return nil end
  local newest, had = entry(redis.call('GETRANGE', key, size - 12, size - 1), 1)
  if newest > now + SKEW then return nil end
  local at, gone = reader(key, first), 0
  while true do
    local time, cost = at(gone)
    if not time then return nil end
    if now < time + length then break end
    total, gone = total - cost, gone + 1
  end
  total = min(max(total, 0), MOST)
  local dead = (first - HEAD - 1) / 12 + gone
  local entries = (size - HEAD) / 12 - dead
  if dead > entries or entries * 12 < SHORT / 2 then return nil end
  local reset = newest + length - now
  local taken = granted(limit - total, units, -1)
  if not taken then
    local function later(n) return at(n + gone) end
    return { nil, nil, 0, total, reset, room_at(later, total, limit, length, max(units, 1)) }
  end
  local joined, new, more = one_more(newest, had, entries, limit, taken)
  local change = { head = head(total + more, dead), at = joined and size - 12 or size, entry = new }
  return { taken, change, max(reset, length), total, reset, 0 }
end

-- What has to be read of a log before it is asked: a short one as a whole.
local function beginning(key)
  local begin = redis.pcall('GETRANGE', key, 0, SHORT - 1)
  -- Something else than a string is an error, and counts as nothing.
  if type(begin) ~= 'string' then return '' end
  return #begin < SHORT and begin or { begin = begin }
end

-- limit, window
kinds.s = { 2, function(value, at, units, third, key)
  local limit, length = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  if type(value) == 'table' then
    local long = sliding_long(key, value.begin, limit, length, units)
    if long then return unpack(long, 1, 6) end
    value = redis.call('GET', key)
  end
  return sliding_whole(value, limit, length, units)
end, beginning }
