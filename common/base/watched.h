/* watched: is the program built with AddressSanitizer? Then what lives in pages or blocks of our
 * own is taken from malloc piece by piece, so that the use of one after its end is seen. gcc says
 * so by a macro, clang by a feature. */
#ifndef YUKIZURI_BASE_WATCHED_H
#define YUKIZURI_BASE_WATCHED_H

#if defined __SANITIZE_ADDRESS__
#define IS_WATCHED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define IS_WATCHED 1
#endif
#endif

#ifndef IS_WATCHED
#define IS_WATCHED 0
#endif

#endif
