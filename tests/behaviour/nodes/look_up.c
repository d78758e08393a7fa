// Copyright: (c) 2026, the dockerless.network authors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Prints the addresses of a name, by the resolver of the library that it is built with.
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
int main(int argc, char **argv) {
    struct addrinfo how = {.ai_socktype = SOCK_STREAM}, *found;
    char text[64];
    if (getaddrinfo(argv[1], 0, &how, &found)) return 2;
    for (; found; found = found->ai_next) {
        void *at = found->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                                               : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
        puts(inet_ntop(found->ai_family, at, text, sizeof text));
    }
}
