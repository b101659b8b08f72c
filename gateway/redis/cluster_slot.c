#include "redis/cluster_slot.h"

#include <stdint.h>
#include <string.h>

/* Polynomial 0x1021, four bits at a time. */
static uint16_t add_half_byte(uint16_t crc, unsigned half)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    return (uint16_t)((crc << 4) ^ table[(crc >> 12 ^ half) & 15]);
}

static unsigned crc16(const char *data, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)data[i];
        crc = add_half_byte(crc, byte >> 4);
        crc = add_half_byte(crc, byte & 15);
    }
    return crc;
}

unsigned cluster_slot(const char *key, size_t len)
{
    const char *open = memchr(key, '{', len);
    if (open != NULL) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', len - (size_t)(tag - key));
        if (close != NULL && close > tag)
            return crc16(tag, (size_t)(close - tag)) % CLUSTER_SLOTS;
    }
    return crc16(key, len) % CLUSTER_SLOTS;
}
