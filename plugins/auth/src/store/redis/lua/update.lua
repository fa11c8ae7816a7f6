-- KEYS: a user, "version record". ARGV: the version it must have, the next, the record. Returns whether it was changed.
local kept = redis.call('GET', KEYS[1])
if not kept then return 0 end
local version = string.match(kept, '^(%d+) ')
if not version then return corrupt('a user') end
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
