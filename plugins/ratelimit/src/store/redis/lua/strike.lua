-- KEYS: the strikes counted, the ban. ARGV: time, limit, window, the ban's length. Returns whether it is banned now.
local limit, window, length = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local values = redis.call('MGET', KEYS[1], KEYS[2])

local time, count = pair(values[1])
time = believed(time)
if count == 0 or now >= time + window then time, count = now, 0 end
count = min(count + 1, MOST)
if count < limit then
  put(KEYS[1], text(time) .. ' ' .. text(count), time + window - now)
  return 0
end

-- A later strike never shortens a ban.
local until_, was = pair(values[2])
local ends = max(min(now + length, LAST), min(until_, now + was))
put(KEYS[2], text(ends) .. ' ' .. text(ends - now), ends - now)
put(KEYS[1], false, 0)
return 1
