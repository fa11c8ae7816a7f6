-- KEYS: a name. ARGV: what it becomes, what it was known to be, for how long it is a claim if it is one. Returns what it
-- is instead, or nothing if it is as was asked; and the time.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('GET', KEYS[1])
if kept and kept ~= ARGV[2] then return { kept, now } end
local value = ARGV[1]
if ARGV[3] ~= '' then value = value .. ' ' .. text(now + ARGV[3]) end
redis.call('SET', KEYS[1], value)
return { '', now }
