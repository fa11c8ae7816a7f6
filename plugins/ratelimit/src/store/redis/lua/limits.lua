-- All limits of a request in one step: every key is read, all is decided, and only then anything is written.
-- ARGV: time; `take`, or `charge` (whatever the limits say); then for each key: kind, units, a third number, whether it
-- is a shadow ('1'), and the parameters of its kind. The third number of a take is the most to take if there is room
-- (at least the units); of a charge that gives back what an earlier take took, the time of that take; else -1.
-- Returns: time, whether all is allowed, then for each key: units granted (-1: refused), and two numbers (three for
-- sliding windows) of the state before, from which the gateway makes its verdict by the same arithmetic.

-- What is in each key. Of what may be a long log only the beginning, unless all of it is needed.
local found, places, at = {}, {}, 3
for i, key in ipairs(KEYS) do
  places[i] = at
  found[key] = not charging and found[key] == nil and kinds[ARGV[at]][3] or true
  at = at + 4 + kinds[ARGV[at]][1]
end
local plain = {}
for key, beginning in pairs(found) do
  if beginning == true then
    plain[#plain + 1] = key
  else
    found[key] = beginning(key)
  end
end
if #plain > 0 then
  local values = redis.call('MGET', unpack(plain))
  for i, key in ipairs(plain) do found[key] = values[i] end
end

local answer, lives, writes, mended = { now, 1 }, {}, {}, {}
for i, key in ipairs(KEYS) do
  local at = places[i]
  local units, third, shadow = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  was_ahead = false
  local taken, value, left, a, b, c = kinds[ARGV[at]][2](found[key], at + 4, units, third, key)
  if charging and units ~= 0 or (taken and taken > 0) then
    found[key], lives[key], writes[#writes + 1] = value, left, key
  elseif not taken and not charging then
    if was_ahead then mended[key] = { value, left } end
    if shadow ~= '1' then answer[2] = 0 end
  end
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = taken or -1, a, b, c
end
if answer[2] == 1 then
  for _, key in ipairs(writes) do put(key, found[key], lives[key]) end
else
  lives = {}
end
for key, new in pairs(mended) do
  if not lives[key] then put(key, new[1], new[2]) end
end
return answer
