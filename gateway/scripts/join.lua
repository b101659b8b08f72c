-- join: somebody comes in, comes back, or is put back by a gateway that was thought dead.
--
-- KEYS  4 members (set of folded names)   5 member:NAME   6 left:ID of the token shown
-- ARGV  5 folded name   6 name   7 address for the operator   8 address that others see ('' none)
--       9 gateway   10 session (of the gateway's)   11 new id   12 hash of the new token
--       13 id of the token shown ('' none)   14 its hash   15 seconds that a member lives
--       16 members at most (0: any number)   17 key of a member without the name
--       18 folded name to which a number is added for a suggestion   19 gateway channel without id
--       20 '1': put back a member that this gateway holds
--       21 what it may see from, when put back   22 the epoch of that number
--
-- Returns {'joined' | 'resumed', id, number, floor, epoch}: the member is in, has this id, and what
-- the room was up to `number` of `epoch` includes it; it may be shown events after `floor`. 'resumed'
-- told nobody.
-- Or {'taken', free number} | {'full'} | {'moved'}.
local members, member, left = KEYS[4], KEYS[5], KEYS[6]
local folded, name, address, shown = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local gateway, session = ARGV[9], ARGV[10]
local id, hash, shown_id, shown_hash = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local ttl, most_members, restore = ARGV[15], tonumber(ARGV[16]), ARGV[20] == '1'

local function bounded(floor, seq)
    floor = tonumber(floor) or 0
    return floor < seq and floor or seq
end

local function suggest()
    for number = 2, 99 do
        if redis.call('EXISTS', ARGV[17] .. ARGV[18] .. number) == 0 then
            return number
        end
    end
    return 0
end

-- The same member on another socket: nobody else needs to know.
local function take_over(old_gateway, old_session, floor)
    if restore and (old_gateway ~= gateway or old_session ~= session) then
        return {'moved'}
    end
    redis.call('HSET', member, 'gateway', gateway, 'session', session, 'address', address)
    redis.call('EXPIRE', member, ttl)
    redis.call('EXPIRE', members, ttl) -- the other gateway may have been the only one to renew them
    redis.call('EXPIRE', head, head_ttl)
    if old_gateway ~= gateway then
        redis.call('PUBLISH', ARGV[19] .. old_gateway,
                   cjson.encode({type = 'resumed', id = shown_id, session = old_session}))
    end
    local epoch, seq = position()
    return {'resumed', shown_id, seq, bounded(floor, seq), epoch}
end

mend(members, 'set')
local there = fields(member, 'id', 'resume', 'gateway', 'session', 'floor')
if there[1] then
    if there[1] == shown_id and there[2] == shown_hash then
        return take_over(there[3], there[4], there[5])
    end
    return {'taken', suggest()}
end
if most_members > 0 and not restore and redis.call('SCARD', members) >= most_members then
    return {'full'}
end

local epoch, now = position()
local floor = now
if restore then
    -- in another epoch than this it was here before anything was said
    id, hash, floor = shown_id, shown_hash, ARGV[22] == epoch and bounded(ARGV[21], now) or 0
elseif shown_id ~= '' then
    local before = fields(left, 'resume', 'floor')
    if before[1] == shown_hash then
        id, hash, floor = shown_id, shown_hash, bounded(before[2], now)
    end
end

-- First what may fail (numbering and keeping the event), then the keys: no half-joined member.
local count = redis.call('SCARD', members) + 1 - redis.call('SISMEMBER', members, folded)
local person = '{"id":' .. cjson.encode(id) .. ',"name":' .. cjson.encode(name)
if shown ~= '' then
    person = person .. ',"address":' .. cjson.encode(shown)
end
local seq = emit_presence(person .. '}', '', count)

redis.call('DEL', left)
redis.call('HSET', member, 'id', id, 'name', name, 'address', address, 'shown', shown,
           'gateway', gateway, 'session', session, 'joined_at', now_ms(),
           'resume', hash, 'floor', floor)
redis.call('EXPIRE', member, ttl)
redis.call('SADD', members, folded)
redis.call('EXPIRE', members, ttl)
redis.call('EXPIRE', head, head_ttl)
return {'joined', id, seq, floor, epoch}
