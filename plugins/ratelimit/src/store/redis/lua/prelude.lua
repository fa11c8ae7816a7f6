-- What all scripts begin with. Numbers are doubles, so every one stays below 2^53 and products are compared before they
-- are made; the arithmetic is that of `algorithm/`, step by step. Keys hold text a person can read (sliding windows
-- apart); whatever else is found in one counts as nothing, and is written over.
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local MOST, LAST, SKEW = 9007199254740992, 4503599627370495, 1000000

-- ARGV[1]: the time in microseconds, for tests; else the server's, which is the same for all gateways.
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[1])
end
now = min(now, LAST)

-- A stored time ahead by a moment is kept, and no time has passed since; ahead by more, a clock was wrong. What says so
-- is written anew, after a refusal too: else each refusal would begin the wait anew until our clock is there.
local was_ahead = false
local function believed(time)
  if time > now + SKEW then
    was_ahead = true
    return now
  end
  return time
end

local function text(number)
  return string.format('%.0f', number)
end

-- "time amount"
local function pair(value)
  if value then
    local time, amount = string.match(value, '^(%d+) (%d+)$')
    time, amount = tonumber(time), tonumber(amount)
    if time and time <= LAST and amount <= MOST then return time, amount end
  end
  return 0, 0
end

-- The only way anything is written: value and time to live in one command, so that no moment and no crash leaves a key
-- that stays for ever. A key as good as fresh is removed.
local function put(key, value, micros)
  local life = text(ceil(micros / 1000) + 1)
  if type(value) == 'table' then
    -- A change to a long log, which has a time to live already.
    redis.call('PEXPIRE', key, life)
    -- step
    redis.call('SETRANGE', key, 0, value.head)
    -- step
    redis.call('SETRANGE', key, value.at, value.entry)
  elseif value and micros > 0 then
    redis.call('SET', key, value, 'PX', life)
  else
    redis.call('DEL', key)
  end
  -- step
end

-- "gateway.epoch count expires;" for each gateway with requests in flight, and their sum. What ran out is left out: the
-- gateway died. A time beyond the lease was written by a clock ahead of ours.
local function flights(value, lease)
  local list, total = {}, 0
  for id, count, expires in string.gmatch(value or '', '(%x+%.%w+) (%d+) (%d+);') do
    count, expires = tonumber(count), min(tonumber(expires), now + lease)
    if count > 0 and expires > now and total + count <= MOST then
      list[#list + 1] = { id, count, expires }
      total = total + count
    end
  end
  return list, total
end

local function flights_text(list)
  local parts, last = {}, now
  for _, flight in ipairs(list) do
    if flight[2] > 0 then
      parts[#parts + 1] = flight[1] .. ' ' .. text(flight[2]) .. ' ' .. text(flight[3]) .. ';'
      last = max(last, flight[3])
    end
  end
  return #parts > 0 and table.concat(parts), last - now
end
