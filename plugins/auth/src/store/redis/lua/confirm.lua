-- KEYS: a name. ARGV: the claim, without when it is over; what it becomes. Returns whether it is that now. A claim that
-- is over is as good as one that stands, unless somebody else has taken the name.
local kept = redis.call('GET', KEYS[1])
local claimed = kept and string.sub(kept, 1, #ARGV[1] + 1) == ARGV[1] .. ' '
if kept and not claimed and kept ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
