// Package web serves what others see of a server over HTTP: /metrics, /livez, /readyz, /stats.json and the page that shows it. It only reads.
package web
