// Package report stores results as JSON, reads them, and compares two of them.
//
// Every result begins with a sut.Header; what follows is its kind's. [WriteJSON] writes any of them and [Read] reads them into one type,
// [Report]. [Regress] states which figures changed beyond noise from one result to another, and [RegressBuilds] measures two builds in the
// same rounds and compares those.
package report
