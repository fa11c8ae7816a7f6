-- KEYS: the signing keys, "version keys". ARGV: the version they must have, the next, the keys.
local kept = redis.call('GET', KEYS[1])
local version = kept and string.match(kept, '^(%d+) ') or '0'
if kept and version == '0' then return corrupt('the signing keys') end
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
