package top

// batching is the block of what ringcached says of its batches: how much it does with one system call, and what waits.
func (c Change) batching() block {
	to := c.to
	each := func(label string, a, b float64) row { return plainRow(label, average(ratio(a, b))) }
	batches, calls := c.growth(batch, "batches"), c.growth(batch, "syscalls")
	requests := c.growth(general, requestCounters...)
	least, most := to.number(batch, "conns_per_thread_least"), to.number(batch, "conns_per_thread_most")
	connections := count(least)
	if most > least {
		connections += " to " + count(most)
	}
	return block{"Batching", nil, []row{
		each("completions per wait", c.growth(batch, "cqes"), batches), each("requests per wait", requests, batches),
		each("requests per system call", requests, calls),
		plainRow("bytes per send", size(ratio(c.growth(general, "bytes_written"), c.growth(batch, "sends")))),
		plainRow("connections per channel", connections), plainRow("send queues", size(to.number(batch, "backlog_bytes"))),
	}}
}

// shortages is the block of what ringcached could not do at once.
func (c Change) shortages() block {
	to := c.to
	counter := func(label, name string) row {
		r := plainRow(label, perSecond(c.rate(batch, name)), count(to.number(batch, name)))
		if c.growth(batch, name) > 0 {
			r.tone = attention
		}
		return r
	}
	held, limit := to.number(batch, "client_memory_bytes"), to.number(batch, "client_memory_limit")
	return block{"Shortages", rates, []row{
		counter("no receive buffer", "enobufs"), counter("short sends", "short_sends"), counter("send timeouts", "send_timeouts"),
		counter("idle, closed", "idle_kicks"), counter("accepting paused", "accept_backoffs"), counter("closed for memory", "client_memory_closed"),
		barRow("client memory", ratio(held, limit), outOf(size(held), size(limit))), plainRow("waiting input", size(to.number(batch, "stash_bytes"))),
		plainRow("parked", count(to.number(batch, "conns_parked"))),
	}}
}

// distribution is a block with a histogram.
func (c Change) distribution(title, prefix string) block {
	b := block{title: title}
	for _, s := range c.histogram(prefix) {
		b.rows = append(b.rows, barRow(s.bound, s.part, percent(s.part)))
	}
	if len(b.rows) == 0 {
		b.rows = []row{plainRow("none", unknown)}
	}
	return b
}

// batchBlocks are the blocks of ringcached's engine.
func (c Change) batchBlocks() []block {
	return []block{
		c.batching(), c.shortages(), c.distribution("Completions per wait", "cqes_per_batch_"), c.distribution("Bytes per send", "bytes_per_send_"),
		c.distribution("Operations per system call", "sqes_per_enter_"),
	}
}
