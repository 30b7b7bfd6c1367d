package page

import (
	"encoding/json"
	"io"
)

// Snapshot is the answer of /stats.json. The package's comment tells what its fields mean.
type Snapshot struct {
	StartedMS int64  `json:"started_ms"`
	ElapsedMS int64  `json:"elapsed_ms"`
	Ready     bool   `json:"ready"`
	Engine    Engine `json:"engine"`

	Stats    Lines `json:"stats"`
	Settings Lines `json:"settings"`
	Items    Lines `json:"items"`
	Slabs    Lines `json:"slabs"`
	Batch    Lines `json:"batch"`

	Channels []Channel `json:"channels"`
	Latency  Latency   `json:"latency"`
	HotKeys  *HotKeys  `json:"hot_keys"` // nil: the server has no --hot-keys
}

// Engine is what moves bytes between sockets and the protocol.
type Engine struct {
	Name     string `json:"name"`
	Why      string `json:"why"`
	Features string `json:"features"`
}

// Lines are the lines of one group of `stats`: values by name, as they are shown.
type Lines map[string]string

// Add is what a group's lines are reported to. The map must have been made.
func (l Lines) Add(name, value string) { l[name] = value }

// Channel is what one channel did since the start, and what it holds now.
type Channel struct {
	Connections uint64 `json:"connections"` // now
	Parked      uint64 `json:"parked"`      // of them those that are held in less memory, as they have been silent
	Accepted    uint64 `json:"accepted"`

	Batches     uint64 `json:"batches"`     // iterations of the loop that brought something
	Completions uint64 `json:"completions"` // or ready events of epoll
	Syscalls    uint64 `json:"syscalls"`
	Receives    uint64 `json:"receives"`
	Sends       uint64 `json:"sends"`
	NoBuffers   uint64 `json:"no_buffers"` // receives that ended with ENOBUFS

	BytesRead        uint64 `json:"bytes_read"`
	BytesWritten     uint64 `json:"bytes_written"`
	SendQueueBytes   uint64 `json:"send_queue_bytes"`   // replies that peers do not take, now
	InputBufferBytes uint64 `json:"input_buffer_bytes"` // requests that have not come whole, now

	CompletionsPerBatch []uint64 `json:"completions_per_batch"` // count i is of values from 2^(i-1)+1 to 2^i, the first of 0 and 1, the last of all larger ones
	BytesPerSend        []uint64 `json:"bytes_per_send"`        // likewise
}

// Latency tells how long handling a command took, by class of command.
type Latency struct {
	BoundsNS []int64        `json:"bounds_ns"`
	Classes  []LatencyClass `json:"classes"`
}

// LatencyClass has the commands of one kind that were timed.
type LatencyClass struct {
	Name    string   `json:"name"`
	Samples uint64   `json:"samples"`
	SumNS   uint64   `json:"sum_ns"`
	Counts  []uint64 `json:"counts"`
}

// HotKeys are the keys that are used most, the hottest first.
type HotKeys struct {
	Names   bool     `json:"names"`
	Refused bool     `json:"refused"` // -X forbids to show them: there are none
	Uses    uint64   `json:"uses"`    // of all keys
	Seconds uint64   `json:"seconds"` // in which they were used
	Keys    []HotKey `json:"keys"`
}

// HotKey is one of them. Count, how often it was used in those seconds, is an estimate, and at most Error too high.
type HotKey struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
	Error uint64 `json:"error"`
}

// Write writes the answer. Lists that are nil become empty ones, so that a reader finds every field.
func (s *Snapshot) Write(w io.Writer) error {
	answer := *s
	for _, lines := range []*Lines{&answer.Stats, &answer.Settings, &answer.Items, &answer.Slabs, &answer.Batch} {
		if *lines == nil {
			*lines = Lines{}
		}
	}
	answer.Channels = append([]Channel{}, s.Channels...)
	for i := range answer.Channels {
		c := &answer.Channels[i]
		c.CompletionsPerBatch, c.BytesPerSend = filled(c.CompletionsPerBatch), filled(c.BytesPerSend)
	}
	answer.Latency.BoundsNS, answer.Latency.Classes = filled(s.Latency.BoundsNS), append([]LatencyClass{}, s.Latency.Classes...)
	for i := range answer.Latency.Classes {
		answer.Latency.Classes[i].Counts = withoutZeros(answer.Latency.Classes[i].Counts)
	}
	if s.HotKeys != nil {
		hot := *s.HotKeys
		hot.Keys = append([]HotKey{}, hot.Keys...)
		answer.HotKeys = &hot
		if !s.HotKeys.Names {
			for i := range answer.HotKeys.Keys {
				answer.HotKeys.Keys[i].Name = "" // whoever filled it in
			}
		}
	}
	return json.NewEncoder(w).Encode(&answer)
}

// filled is a list that is not nil.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// withoutZeros drops the zeros at the end of a list.
func withoutZeros(counts []uint64) []uint64 {
	end := len(counts)
	for end > 0 && counts[end-1] == 0 {
		end--
	}
	return filled(counts[:end])
}
