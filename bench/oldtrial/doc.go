// Package oldtrial runs servers against loads and compares them.
//
// A trial is one server under one load: it starts the server, warms it up, measures a window and stops it. A round has a trial of each server, in
// an order that rotates from round to round, so that whatever disturbs a stretch of time disturbs all of them. Ratios are taken within rounds
// (pairs of trials) and stated with a 95 % interval; ratios whose interval includes 1 are reported as noise.
//
//   - [Compare] runs named workloads.
//   - [Experiments] varies one thing along an axis, such as the length of values, and measures all servers at each point. experiment_plan.go
//     says what an experiment consists of, experiment_run.go runs it, experiment_result.go summarises it. A figure is given only where every
//     reply was right, no server died, and the load was not the limit.
//   - [Limits] measures the workloads that have targets until it can tell whether each is met, and what idle connections cost.
package oldtrial
