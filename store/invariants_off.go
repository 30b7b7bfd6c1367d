//go:build !invariants

package store

import "sync"

// invariants says whether the checks are built in. Without them the checks below are nothing.
const invariants = false

func check(bool, string)          {}
func interleave()                 {}
func poison(*header, uint32)      {}
func checkPoison(*header, uint32) {}

// rankedMutex is written so that all of it is inlined.
type rankedMutex struct{ mu sync.Mutex }

func (m *rankedMutex) lock(rank)         { m.mu.Lock() }
func (m *rankedMutex) tryLock(rank) bool { return m.mu.TryLock() }
func (m *rankedMutex) unlock()           { m.mu.Unlock() }
