-- KEYS: a counter. ARGV: now, window, by. Returns its count and when its window is over.
local now, window, by = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count, reset = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
count, reset = tonumber(count or 0), tonumber(reset or 0)
if now < reset then
  -- Longer than its window only where a clock was wrong, or the configuration has changed.
  reset = min(reset, now + window)
else
  count, reset = 0, now + window
end
count = min(count + by, 4294967295)
-- Count and time to live in one command, so that nobody is locked out for ever.
if by > 0 then redis.call('SET', KEYS[1], text(count) .. ' ' .. text(reset), 'PX', text(max(reset - now, 1))) end
return { count, reset }
