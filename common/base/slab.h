/* slab: memory for what lives as long as people stay: connections, sessions, who they are. It has
 * pages of its own (Bonwick, "The Slab Allocator", USENIX 1994): objects of nearly the same size
 * side by side, without a header each. malloc's heap is left to what comes and goes, which would
 * lie between them and keep whole pages from going back to the system after a storm of people.
 *
 * For one thread. Under AddressSanitizer each object is a piece of malloc's, so that misuse shows.
 */
#ifndef YUKIZURI_BASE_SLAB_H
#define YUKIZURI_BASE_SLAB_H

#include <stddef.h>

enum { SLAB_MOST = 32768 };

/* Zeroed memory for at most SLAB_MOST bytes, never NULL; slab_free gives it back. */
void *slab_new(size_t size);

/* NULL is fine. A block of pages goes back to the system when nothing is in it. */
void slab_free(void *object);

/* Gives back the empty pages that are kept for the next one. */
void slab_trim(void);

/* Bytes that are taken from the system at the moment. */
size_t slab_held(void);

#endif
