package statlines

// batch are the lines of `stats batch`, in its order: sums over all threads.
var batch = []Row{
	text("engine", "the I/O engine: uring or epoll; a label of ringcached_info", ""),
	text("features", "kernel features that the engine uses; a label of ringcached_info", ""),
	counter("batches", "", "iterations of the threads that brought something", "-"),
	counter("enters", "", "calls of io_uring_enter or epoll_wait", "-"),
	counter("syscalls", "", "all system calls on the way of requests", "-"),
	counter("sqes", "", "operations submitted", "-"),
	counter("cqes", "", "completions, or ready sockets", "-"),
	counter("sends", "", "sends", "-"),
	counter("receives", "", "receives that brought something", "-"),
	counter("bytes_filled", "bytes", "received straight into items", "-"),
	without("ringcached_channel_submissions_total by ringcached_channel_waits_total is the mean", histogram("sqes_per_enter", "operations", "operations submitted by one system call", "", WhenURing)),
	histogram("cqes_per_batch", "completions", "completions, or ready sockets, of one iteration", prefix+"channel_completions_per_wait", ""),
	histogram("bytes_per_send", "bytes", "bytes of one send", prefix+"channel_bytes_per_send", ""),
	gauge("buffers_total", "", "receive buffers (--ring-buffers for each thread)", "-"),
	gauge("buffers_out", "", "receive buffers with data that is not handled yet", "-"),
	counter("enobufs", "", "receives that found no buffer", "-"),
	counter("rearms", "", "receives that had to be started again", "-"),
	counter("cq_overflows", "", "times that the completion queue was full", "-"),
	counter("cqes_lost", "", "completions that the kernel lost", "-"),
	counter("short_sends", "", "sends that the socket did not take as a whole: the rest went to a send queue", "-"),
	counter("zc_sends", "", "zero-copy sends (--send-zc)", "-"),
	counter("zc_copied", "", "zero-copy sends of which the kernel copied something all the same", "-"),
	counter("send_timeouts", "", "connections closed for taking nothing of their replies (--send-timeout)", "-"),
	counter("idle_kicks", "", "connections closed for sending nothing (-o idle_timeout)", "-"),
	counter("datagrams_dropped", "", "datagrams without a head, or without memory for a reply", "-"),
	counter("accept_errors", "", "accepts that failed", "-"),
	counter("accept_backoffs", "", "times that accepting paused for lack of descriptors, memory or room", "-"),
	without("memcached_connections_rejected_total is the same", counter("conns_rejected", "", "connections that were refused above -c", "")),
	counter("conns_passed_on", "", "connections that the thread that accepted them gave to [one with fewer](commandline.md#threads)", "-"),
	without("ringcached_channel_connections has each thread", gauge("conns_per_thread_least", "", "connections of the thread that has the fewest", "")),
	without("ringcached_channel_connections has each thread", gauge("conns_per_thread_most", "", "connections of the thread that has the most", "")),
	gauge("backlog_bytes", "bytes", "what waits in send queues, with the values that it refers to", "-"),
	gauge("stash_bytes", "bytes", "input that waits to be handled, or for its end", "-"),
	gauge("conns_parked", "", "connections that are parked: they sent nothing for --park-after", "-"),
	gauge("client_memory_bytes", "bytes", "what clients make the server hold beside the items", "-"),
	gauge("client_memory_limit", "bytes", "[bound](commandline.md#limits) of client_memory_bytes; 0: none", "-"),
	counter("client_memory_closed", "", "connections closed at client_memory_limit", "-"),
	counter("client_memory_failed", "", "connections closed because the system gave no memory", "-"),
	counter("datagrams_ignored", "", "datagrams, or rests of them, that were no request", "-"),
	counter("datagrams_refused", "", "commands in datagrams that only connections may give", "-"),
	counter("datagrams_too_large", "", "replies longer than --udp-amplification allows", "-"),
}

// hotKeys are the lines of `stats hotkeys`: without --hot-keys the first one alone.
var hotKeys = []Row{
	{Name: "hotkeys_status", Type: Text, Help: "disabled: the server does not look for them", When: "without --hot-keys"},
	withHotKeys(gauge("hotkeys_uses", "", "how often all keys were used during hotkeys_seconds, about", "")),
	withHotKeys(gauge("hotkeys_seconds", "seconds", "the time that the counts stand for, 30 to 60 when the server has run for some minutes: a count divided by it is a rate", "")),
	withHotKeys(text("hotkeys:N:key", "the key, written as `lru_crawler metadump` writes keys; N is 1 for the one that is used most", "")),
	withHotKeys(gauge("hotkeys:N:count", "", "how often it was used during hotkeys_seconds, about", "")),
	withHotKeys(gauge("hotkeys:N:error", "", "by how much the count may be too high because the key was not counted from the beginning", "")),
}

func withHotKeys(r Row) Row {
	r.When = WhenHotKeys
	return r
}
