-- KEYS: the session. ARGV: now, until. Returns the session, or nothing.
local now = tonumber(ARGV[1])
if not is_live(now) then return {} end
return change(now, min(tonumber(ARGV[2]), ends))
