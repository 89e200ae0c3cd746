// old_librdkafka BOOTSTRAP TOPIC RECORDS: librdkafka 1.x, which confluent-kafka-go brings along. Makes TOPIC, writes RECORDS with an
// idempotent producer and every codec, aborts a transaction and commits an empty one, reads all in a group, commits, and prints one
// JSON line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/confluentinc/confluent-kafka-go/kafka"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func write(producer *kafka.Producer, topic string, from, to, step int, prefix string) (delivered int) {
	events := make(chan kafka.Event, to)
	sent := 0
	for i := from; i < to; i += step {
		at := kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}
		must(producer.Produce(&kafka.Message{TopicPartition: at, Key: []byte(prefix + strconv.Itoa(i)), Value: []byte("v")}, events))
		sent++
	}
	for ; sent > 0; sent-- {
		must((<-events).(*kafka.Message).TopicPartition.Error)
		delivered++
	}
	return delivered
}

func main() {
	bootstrap, topic := os.Args[1], os.Args[2]
	records, err := strconv.Atoi(os.Args[3])
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()

	admin, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": bootstrap})
	must(err)
	made, err := admin.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: topic, NumPartitions: 3, ReplicationFactor: 1}})
	must(err)
	if code := made[0].Error.Code(); code != kafka.ErrNoError {
		panic(made[0].Error)
	}

	written := 0
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	for i, codec := range codecs {
		producer, err := kafka.NewProducer(&kafka.ConfigMap{
			"bootstrap.servers": bootstrap, "enable.idempotence": true, "compression.type": codec, "linger.ms": 5})
		must(err)
		written += write(producer, topic, i, records, len(codecs), "k")
		producer.Close()
	}

	producer, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": bootstrap, "transactional.id": topic})
	must(err)
	must(producer.InitTransactions(ctx))
	must(producer.BeginTransaction())
	write(producer, topic, 0, 100, 1, "aborted")
	must(producer.AbortTransaction(ctx))
	must(producer.BeginTransaction())
	must(producer.CommitTransaction(ctx))
	producer.Close()

	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": false})
	must(err)
	must(consumer.Subscribe(topic, nil))
	times := map[string]int{}
	aborted, twice := 0, 0
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		message, err := consumer.ReadMessage(3 * time.Second)
		if err != nil {
			if len(times) >= records {
				break
			}
			continue
		}
		key := string(message.Key)
		if key[0] == 'a' {
			aborted++
		}
		if times[key]++; times[key] > 1 {
			twice++
		}
	}
	_, err = consumer.Commit()
	must(err)
	assigned, err := consumer.Assignment()
	must(err)
	offsets, err := consumer.Committed(assigned, 10_000)
	must(err)
	committed := 0
	for _, each := range offsets {
		if each.Offset > 0 {
			committed++
		}
	}
	must(consumer.Close())

	_, library := kafka.LibraryVersion()
	line, err := json.Marshal(map[string]any{"library": library, "written": written, "read": len(times),
		"twice": twice, "aborted": aborted, "partitionsCommitted": committed})
	must(err)
	fmt.Println(string(line))
}
