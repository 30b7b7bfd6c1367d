module ringcached/test

go 1.26.0

require (
	github.com/bradfitz/gomemcache v0.0.0-20260422231931-4d751bb6e37c
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/creack/pty v1.1.24
	github.com/grafana/gomemcache v0.0.0-20251127154401-74f93547077b
	github.com/memcachier/mc/v3 v3.0.3
	golang.org/x/sys v0.49.0
	ringcached v0.0.0
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/iceber/iouring-go v0.0.0-20230403020409-002cfd2e2a90 // indirect
	golang.org/x/crypto v0.58.0 // indirect
)

replace ringcached => ../
