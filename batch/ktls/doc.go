// Package ktls has the kernel seal what a TLS connection sends (kernel TLS, the upper layer protocol "tls" of a TCP socket).
//
//	support, err := ktls.Probe()          // once: what this kernel can do
//	if support.Seals(&keys) {
//		err = ktls.Enable(fd, &keys)  // keys: record.State.KernelKeys
//	}
//
// From then on whatever is sent on the socket, by whichever call, is application data that the kernel cuts into records and seals. Other
// records, alerts and KeyUpdates, are sent by [SendRecord]. Receiving stays as it is: the socket delivers the peer's sealed records.
//
// # What the kernel does not do
//
// Zero-copy sends (MSG_ZEROCOPY, io_uring's SEND_ZC) and MSG_WAITALL fail on such a socket, by EOPNOTSUPP.
//
// A socket that is closed, or whose output is ended, drops what was sealed and it had no room for: [SendLast] waits for it.
//
// Before 6.14 the kernel takes only one key for a connection. A peer may ask for another at any time in TLS 1.3, and AES-GCM needs one
// after 2^24 records, so that TLS 1.3 is left to package record there: see [Support.Seals]. TLS 1.2 has no such updates.
//
// The tests need the module tls. scripts/test-kernels runs them on kernels that have it.
//
// Sources: Documentation/networking/tls.rst and include/uapi/linux/tls.h of Linux 6.19.
package ktls
