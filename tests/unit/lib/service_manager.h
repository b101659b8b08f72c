/* service_manager: the end of NOTIFY_SOCKET that a service manager has, in place of systemd's. */
#ifndef YUKIZURI_UNIT_SERVICE_MANAGER_H
#define YUKIZURI_UNIT_SERVICE_MANAGER_H

enum { SERVICE_MANAGER_FREE_FROM = 100 }; /* given sockets begin at 3: nothing else may be there */

/* Listens at a name of this process in the abstract namespace, and tells it in the environment. The
 * descriptor, non-blocking, from SERVICE_MANAGER_FREE_FROM on. */
int service_manager_open(void);

/* Closes it, and takes all that a manager sets out of the environment. */
void service_manager_close(int fd);

#endif
