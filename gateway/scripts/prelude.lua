-- prelude: put before every other script. All keys of a room share one hash tag, so that a cluster
-- keeps them on one shard.
--
-- KEYS  1 the room's channel   2 head   3 recent
-- ARGV  1 epoch to use should the room be new   2 seconds that head lives
--       3 retention in seconds (0: keep nothing)   4 kept events at most
local channel, head, recent = KEYS[1], KEYS[2], KEYS[3]
local new_epoch, head_ttl = ARGV[1], tonumber(ARGV[2])
local retention, most_kept = tonumber(ARGV[3]), tonumber(ARGV[4])

local function now_ms()
    local time = redis.call('TIME')
    return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

-- Where the room is: its epoch and the number of its last event. Creates a room that is not there.
local function position()
    local at = redis.call('HMGET', head, 'epoch', 'seq')
    if at[1] then
        return at[1], tonumber(at[2])
    end
    redis.call('DEL', recent)
    redis.call('HSET', head, 'epoch', new_epoch, 'seq', 0)
    redis.call('EXPIRE', head, head_ttl)
    return new_epoch, 0
end

-- Numbers an event, keeps it for `retention` and publishes it, all in one step: numbers have no
-- holes, and everybody who subscribed sees them grow. `make(seq, at)` gives the event's JSON.
local function emit(make)
    local seq = redis.call('HINCRBY', head, 'seq', 1)
    if seq == 1 then
        redis.call('DEL', recent)
        redis.call('HSETNX', head, 'epoch', new_epoch)
        redis.call('EXPIRE', head, head_ttl)
    end
    local at = now_ms()
    local event = make(string.format('%.0f', seq), at)
    if retention > 0 then
        redis.call('XADD', recent, 'MAXLEN', most_kept, string.format('%.0f-0', seq),
                   'at', at, 'event', event)
        redis.call('EXPIRE', recent, retention)
    end
    redis.call('PUBLISH', channel, event)
    return seq
end

-- A presence event; `joined` and `left` are JSON, comma-separated.
local function emit_presence(joined, left, count)
    return emit(function(seq)
        return '{"type":"presence","seq":' .. seq .. ',"joined":[' .. joined .. '],"left":[' ..
               left .. '],"count":' .. count .. '}'
    end)
end

local function left_person(id, name)
    return '{"id":' .. cjson.encode(id) .. ',"name":' .. cjson.encode(name) .. '}'
end
