-- trim: forgets kept events up to a number, because `retention` has passed for them. The stream
-- holds numbers without holes, so how many to keep is a subtraction.
--
-- ARGV  5 the last number to forget
local _, seq = position()
local keep = seq - tonumber(ARGV[5])
return redis.call('XTRIM', recent, 'MAXLEN', keep > 0 and keep or 0)
