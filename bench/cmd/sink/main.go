// Command sink runs the bench's stand-in for Elasticsearch on its own: POST /reset?seq=N&ids=1&delay=MS, POST
// /fault?status=503&for=20s&after=300000, GET /stats.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/gatebook/gatebook/bench/sink"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9200", "where to listen")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "sink on http://"+*addr)
	if err := http.ListenAndServe(*addr, sink.New()); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}
