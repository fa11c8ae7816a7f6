-- KEYS: the session. ARGV: the generation presented, now, grace, ttl. Returns what became of it, and the session.
local presented, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local grace, ttl = tonumber(ARGV[3]), tonumber(ARGV[4])

if not is_live(now) or presented < 1 or presented > generation then return { 'gone', {} } end
if presented == generation then
  if generation >= 4294967295 then return { 'gone', {} } end
  return { 'next', change(now, min(now + ttl, ends), 'generation', text(generation + 1), 'rotated', text(now)) }
end
-- Another gateway's clock may be ahead of ours: that is no time at all.
if presented + 1 == generation and max(now - rotated, 0) < grace then return { 'again', flat } end
return { 'reused', flat }
