/* decoder_notes: callbacks of a decoder that write down what came out of it. */
#ifndef YUKIZURI_DECODER_NOTES_H
#define YUKIZURI_DECODER_NOTES_H

#include "websocket/decoder.h"

/* All of them but may_go_on. */
extern const struct decoder_callbacks decoder_notes;

/* T(text) B(binary) P(ping) Q(pong) C(code) in a row, and the bytes of on_send. */
extern char decoder_notes_seen[4096];
extern uint8_t decoder_notes_sent[1024];
extern size_t decoder_notes_sent_len;

/* As at the start. */
void decoder_notes_clear(void);

#endif
