package config

import (
	"errors"
	"fmt"
	"time"

	"ringcached/ring"
)

// Validate returns the first rule that c breaks, nil if it breaks none. Each flag has refused by itself what can't be its value: these are the
// rules about several flags, and about values with a gap in their range. Nothing is looked up, and nothing changed: that is Resolve's.
func (c *Config) Validate() error {
	for _, rules := range []func() error{c.validateNetwork, c.validateTLS, c.validateMemory, c.validateProtocol, c.validateEngine, c.validateMonitoring} {
		if err := rules(); err != nil {
			return c.Line.Explain(err)
		}
	}
	return nil
}

func (c *Config) validateNetwork() error {
	n := &c.Network
	if tcp, udp := n.ports(); n.Inherited == nil && n.Unix == "" && tcp == 0 && udp == 0 {
		return errors.New("-p 0 turns TCP off, and there is nothing else to listen on")
	}
	return nil
}

func (c *Config) validateMemory() error {
	m := &c.Memory
	if m.ClientMemory != 0 && m.clientMemoryGiven && m.ClientMemory < leastClientMemory {
		return fmt.Errorf("--client-memory must be 0 or at least %s", formatSize(leastClientMemory))
	}
	if m.ItemMax > m.Limit/2 {
		return fmt.Errorf("-I, --max-item-size (%s) must be at most half of -m, --memory-limit (%s)",
			formatSize(m.ItemMax), formatSize(m.Limit))
	}
	return c.Store().Validate()
}

func (c *Config) validateProtocol() error {
	p := &c.Protocol
	switch {
	case p.SASL && p.AuthFile == "":
		return errors.New("-S, --enable-sasl needs the users of -Y, --auth-file")
	case p.SASL && p.Binding == "ascii":
		return errors.New("-S, --enable-sasl is for binary clients, which -B ascii does not serve")
	case p.AuthFile != "" && c.Network.servesUDP():
		return errors.New("-U, --udp-port can't be used with -Y, --auth-file: a datagram does not say who sent it")
	}
	return nil
}

func (c *Config) validateEngine() error {
	e, b := &c.Engine, &c.Engine.Batch
	switch {
	case e.threadsGiven && e.NAPIIDs > b.Threads:
		return fmt.Errorf("-N, --napi-ids (%d) must be at most -t, --threads (%d)", e.NAPIIDs, b.Threads)
	case b.Steer && !b.Affinity:
		return errors.New("--cpu-steering needs --cpu-affinity")
	case b.Steer && b.OneQueue:
		return errors.New("--cpu-steering can't be used with --one-accept-queue: there is nothing to choose from")
	case b.SQPoll > 0 && b.SQPoll < time.Millisecond:
		return errors.New("--sqpoll is 0 or at least 1ms")
	case b.Wait != 1 && b.Timeout <= 0:
		return errors.New("--batch-wait other than 1 needs a --batch-timeout above 0")
	case b.ParkAfter > 0 && b.ParkAfter < time.Second:
		return errors.New("--park-after must be 0 or at least 1s")
	}
	if _, err := ring.ParseFeatures(e.Features); err != nil {
		return fmt.Errorf("--ring-features: %w", err)
	}
	return nil
}
