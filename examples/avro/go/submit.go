// Submits a job by Avro and follows its status: submit SCHEMAS BROKERS PREFIX ID INPUT RESULTS
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

var ended = map[string]bool{
	"SUCCEEDED": true, "PARTIAL": true, "FAILED": true, "CONFLICT": true, "CANCELLED": true,
}

// A record in Avro's single-object encoding: C3 01, the schema's fingerprint, the fields.
type codec struct {
	schema avro.Schema
	header []byte
}

func newCodec(folder, name string) (codec, error) {
	schema, err := avro.ParseFiles(filepath.Join(folder, name+".avsc"))
	if err != nil {
		return codec{}, err
	}
	// Little-endian, as the specification has it; CRC64Avro without LE is the other order.
	fingerprint, err := schema.FingerprintUsing(avro.CRC64AvroLE)
	return codec{schema, append([]byte{0xc3, 0x01}, fingerprint...)}, err
}

func (c codec) encode(record map[string]any) ([]byte, error) {
	fields, err := avro.Marshal(c.schema, record)
	return append(bytes.Clone(c.header), fields...), err
}

type status struct {
	State     string `avro:"state"`
	Succeeded int64  `avro:"succeeded"`
}

func submit(brokers, prefix string, job map[string]any, jobs codec) error {
	value, err := jobs.encode(job)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	record := &kgo.Record{Topic: prefix + ".jobs", Key: []byte(job["id"].(string)), Value: value}
	return client.ProduceSync(context.Background(), record).FirstErr()
}

func follow(brokers, prefix, id string, statuses codec) error {
	// No group: every sender reads the whole topic, in which the last status of each job stays.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.ConsumeTopics(prefix+".status"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if string(record.Key) != id || !bytes.HasPrefix(record.Value, statuses.header) {
				continue
			}
			var now status
			if err := avro.Unmarshal(statuses.schema, record.Value[len(statuses.header):], &now); err != nil {
				return err
			}
			fmt.Println(now.State, now.Succeeded)
			if ended[now.State] {
				return nil
			}
		}
	}
}

func run(schemas, brokers, prefix, id, input, results string) error {
	jobs, err := newCodec(schemas, "Job")
	if err != nil {
		return err
	}
	statuses, err := newCodec(schemas, "JobStatus")
	if err != nil {
		return err
	}
	job := map[string]any{
		"id":         id,
		"submitted":  time.Now().UnixMilli(),
		"image":      "busybox",
		"command":    []string{"sh", "-c", "cat /in/*"},
		"volumes":    []map[string]any{{"source": input, "path": "/in"}},
		"glob":       "*.txt",
		"batch_size": int64(2),
		"results":    results,
	}
	// Twice, as after an answer that was lost: it is one job.
	for range 2 {
		if err := submit(brokers, prefix, job, jobs); err != nil {
			return err
		}
	}
	return follow(brokers, prefix, id, statuses)
}

func main() {
	a := os.Args
	if err := run(a[1], a[2], a[3], a[4], a[5], a[6]); err != nil {
		log.Fatal(err)
	}
}
