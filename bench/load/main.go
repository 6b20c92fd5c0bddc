// Load calls one rpc with the same request again and again, and prints how many answers came.
//
// It is in Go, so that on two cores the client leaves most of them to the servers.
package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// raw hands a message's bytes on as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (raw) Name() string                       { return "proto" }

func main() {
	address := flag.String("address", "", "HOST:PORT of the server")
	method := flag.String("method", "", "the rpc, /package.Service/Method")
	body := flag.String("request", "", "the request, serialized, in hex")
	connections := flag.Int("connections", 8, "connections")
	inFlight := flag.Int("in-flight", 4, "calls at once on each of them")
	seconds := flag.Float64("seconds", 2, "for how long")
	flag.Parse()
	request, err := hex.DecodeString(*body)
	if err != nil {
		log.Fatal(err)
	}
	var done atomic.Int64
	var callers sync.WaitGroup
	ctx := context.Background()
	start := make(chan struct{})
	end := time.Now().Add(time.Hour)
	for range *connections {
		connection, err := grpc.NewClient(*address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
		if err != nil {
			log.Fatal(err)
		}
		call := func() {
			var answer []byte
			if err := connection.Invoke(ctx, *method, &request, &answer); err != nil {
				log.Fatal(err)
			}
		}
		call() // connects
		for range *inFlight {
			callers.Add(1)
			go func() {
				defer callers.Done()
				<-start
				for time.Now().Before(end) {
					call()
					done.Add(1)
				}
			}()
		}
	}
	end = time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	close(start)
	callers.Wait()
	fmt.Println(done.Load())
}
