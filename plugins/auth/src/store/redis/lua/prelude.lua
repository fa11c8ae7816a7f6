-- What all scripts begin with. Numbers are doubles, so every one that is sent stays below 2^53.
local min, max = math.min, math.max

local function text(number)
  return string.format('%.0f', number)
end

local function corrupt(what)
  return redis.error_reply('CORRUPT ' .. what)
end
