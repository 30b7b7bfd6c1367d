// Package htmlreport is a test that looks at the page of a comparison in a browser.
package htmlreport
