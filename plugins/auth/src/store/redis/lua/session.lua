-- A session is a hash: fields of its own, each as text a person can read.
local flat = redis.call('HGETALL', KEYS[1])
local session = {}
for i = 1, #flat, 2 do session[flat[i]] = flat[i + 1] end

local until_, ends = tonumber(session['until']), tonumber(session.ends)
local generation, rotated = tonumber(session.generation), tonumber(session.rotated)
if #flat > 0 and not (until_ and ends and generation and rotated) then return corrupt('a session') end

local function is_live(now)
  return #flat > 0 and now < min(until_, ends)
end

-- Value and time to live in one script: no moment and no crash leaves a session that stays for ever.
local function change(now, till, ...)
  redis.call('HSET', KEYS[1], 'used', text(now), 'until', text(till), ...)
  redis.call('PEXPIRE', KEYS[1], text(max(till - now, 1)))
  return redis.call('HGETALL', KEYS[1])
end
