-- How each kind of limit counts; one step of `algorithm/` each. See `limits.lua` for what the arguments are.
local charging = ARGV[2] == 'charge'

-- Whole units to take of `room`; none if not even the cost fits. Zero asks for one and takes none.
local function granted(room, cost, most)
  if max(cost, 1) > room then return nil end
  if cost == 0 then return 0 end
  return min(max(cost, most), room)
end

-- Each kind: how many parameters; a step: (value, first parameter, units, third, key) -> granted or nil, value to write,
-- its time to live, three numbers of the state before; and how its value is read, if that isn't simply all of it.
local kinds = {}

-- token, drain, tick, brim, the largest debt
kinds.b = { 5, function(value, at, units, third)
  local token, drain, tick = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local brim, debt = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local stored, level = pair(value)
  local time, water = believed(stored), min(level, debt)
  if time < now then
    local ticks = floor((now - time) / tick)
    if ticks >= ceil(water / drain) then
      time, water = now, 0
    else
      time, water = time + ticks * tick, water - ticks * drain
    end
  end
  local taken
  if not charging then
    taken = granted(floor((brim - water) / token), units, third)
    water = water + (taken or 0) * token
  else
    local many = units < 0 and -units or units
    local poured = many > floor(MOST / token) and MOST or many * token
    if third >= 0 then
      -- What has drained since it was taken is not given back again.
      local ticks = ceil(max(0, max(time, now) - third) / tick)
      poured = ticks >= ceil(poured / drain) and 0 or poured - ticks * drain
    end
    water = units < 0 and max(0, water - poured) or min(water + poured, debt)
  end
  local left = water > 0 and time + ceil(water / drain) * tick - now or 0
  return taken, water > 0 and text(time) .. ' ' .. text(water), left, stored, level, 0
end }

-- Count in the window from `begin` to `ends`.
local function window(begin, ends, count, limit, units, third)
  local taken
  if not charging then
    taken = granted(limit - count, units, third)
    count = count + (taken or 0)
  elseif third < 0 or (count > 0 and begin <= third) then
    -- A window that began after the take knows nothing of it.
    count = min(max(count + units, 0), MOST)
  end
  return taken, count > 0 and text(begin) .. ' ' .. text(count), ends - now
end

-- limit, window
kinds.f = { 2, function(value, at, units, third)
  local limit, length = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local stored, had = pair(value)
  local begin, count = believed(stored), had
  if count == 0 or now >= begin + length then begin, count = now, 0 end
  local taken, new, left = window(begin, begin + length, count, limit, units, third)
  return taken, new, left, stored, had, 0
end }

-- limit, the window's begin and end and the time by the gateway's time of day. Gateways' clocks differ a little, so the
-- server's clock says which window it is: the one before the gateway's, the gateway's, or the next one; for all of them
-- the same. A window is known by any time in it. Where the clocks differ by days, keys end with the gateways' windows.
kinds.c = { 4, function(value, at, units, third)
  local limit, begin, ends = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local left = ends - tonumber(ARGV[at + 3])
  local first = now < begin and 0 or begin
  if now >= ends then
    -- How long the next one lasts isn't known: its key may live too long, but never too short.
    first, left = ends, left + 2 * (ends - begin)
  end
  local time, count = pair(value)
  if time < first then time, count = first, 0 end
  was_ahead = time > now + SKEW
  if was_ahead or count == 0 then time = first > 0 and first or begin - 1 end
  local taken, new = window(time, ends, count, limit, units, third)
  return taken, new, left, begin, count, 0
end }

-- limit, gateway.epoch, lease
kinds.n = { 3, function(value, at, units, third)
  local limit, id, lease = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local list, total = flights(value, lease)
  local mine
  for _, flight in ipairs(list) do
    if flight[1] == id then mine = flight end
  end
  local taken
  if charging then
    -- What its gateway no longer has there was given back already.
    if mine then mine[2] = max(0, mine[2] + units) end
  else
    taken = granted(limit - total, units, -1)
    if taken and taken > 0 then
      mine = mine or { id, 0 }
      if mine[2] == 0 then list[#list + 1] = mine end
      mine[2], mine[3] = mine[2] + taken, now + lease
    end
  end
  local new, left = flights_text(list)
  return taken, new, left, 0, total, 0
end }

-- (none)
kinds.x = { 0, function(value, at, units, third)
  local stored, length = pair(value)
  local ends = min(stored, now + length)
  local taken = ends <= now and 0 or nil
  if stored > ends then
    was_ahead, value = true, text(ends) .. ' ' .. text(length)
  end
  if charging then
    ends = units < 0 and 0 or max(min(now + units, LAST), ends)
    return nil, text(ends) .. ' ' .. text(max(0, ends - now)), ends - now, stored, length, 0
  end
  return taken, value, ends - now, stored, length, 0
end }
