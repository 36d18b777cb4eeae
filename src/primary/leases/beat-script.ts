/**
 * The beat as one Lua script, for Redis 7.0 and Valkey alike (no command newer than that). All keys carry the same hash
 * tag. Time is the server's own; the instances' clocks are never compared.
 *
 * KEYS[1] members (zset: instance -> last beat ms), KEYS[2] urls (hash), KEYS[3] epochs (hash: slot -> last epoch),
 * KEYS[4] clean (hash: slot -> 1 after a release), KEYS[5…] one key a slot holding "instance|epoch".
 */
export const BEAT_SCRIPT = `
local args = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function key(slot) return KEYS[5 + slot] end
local function value(held) return args.instanceId .. '|' .. string.format('%.0f', held.epoch) end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - args.ttlMs)
if args.member then
  redis.call('ZADD', KEYS[1], now, args.instanceId)
  redis.call('HSET', KEYS[2], args.instanceId, args.advertiseUrl)
else
  redis.call('ZREM', KEYS[1], args.instanceId)
end

for _, held in ipairs(args.release) do
  if redis.call('GET', key(held.slot)) == value(held) then
    redis.call('DEL', key(held.slot))
    redis.call('HSET', KEYS[4], held.slot, '1')
  end
end
for _, held in ipairs(args.renew) do
  if redis.call('GET', key(held.slot)) == value(held) then
    redis.call('PEXPIRE', key(held.slot), args.ttlMs)
  end
end
local acquired = {}
for _, slot in ipairs(args.acquire) do
  if redis.call('EXISTS', key(slot)) == 0 then
    local last = tonumber(redis.call('HGET', KEYS[3], slot) or '0')
    local epoch = math.max(last + 1, args.epochFloor)
    local text = string.format('%.0f', epoch)
    redis.call('SET', key(slot), args.instanceId .. '|' .. text, 'PX', args.ttlMs)
    redis.call('HSET', KEYS[3], slot, text)
    local clean = redis.call('HDEL', KEYS[4], slot)
    -- A slot that nobody ever held has nothing on the wire either.
    if last == 0 then clean = 1 end
    acquired[#acquired + 1] = { tostring(slot), text, tostring(clean) }
  end
end

local members = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  members[#members + 1] = { id, redis.call('HGET', KEYS[2], id) or '' }
end
local owners = {}
for slot = 0, args.slots - 1 do
  owners[slot + 1] = redis.call('GET', key(slot)) or ''
end
return cjson.encode({ members = members, owners = owners, acquired = acquired })
`;
