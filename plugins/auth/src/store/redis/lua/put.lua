-- KEYS: a value. ARGV: now, until, whether it must be new, the value. Returns whether it was put.
local now, till = tonumber(ARGV[1]), tonumber(ARGV[2])
if ARGV[3] == '1' then
  local kept = tonumber(string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ') or 0)
  if now < kept then return 0 end
end
if till > now then
  redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[4], 'PX', text(till - now))
else
  redis.call('DEL', KEYS[1])
end
return 1
