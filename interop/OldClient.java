import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * OldClient BOOTSTRAP TOPIC RECORDS: written against the clients of Kafka 2.1. Makes a topic, writes it with an idempotent producer and
 * every codec, copies it in transactions of which each third is aborted and done again, reads the copy as a group would, and asks the
 * admin client for what came of it. Prints one line a fact.
 */
public class OldClient {
  static Properties properties(String bootstrap, Object... more) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    for (String side : new String[] {"key", "value"}) {
      properties.put(side + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
      properties.put(side + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    }
    for (int i = 0; i < more.length; i += 2) properties.put(more[i], more[i + 1]);
    return properties;
  }

  public static void main(String[] args) throws Exception {
    String bootstrap = args[0], topic = args[1], copy = topic + "-copy", group = topic + "-copier";
    int records = Integer.parseInt(args[2]);
    try (AdminClient admin = AdminClient.create(properties(bootstrap))) {
      List<NewTopic> topics = new ArrayList<>();
      topics.add(new NewTopic(topic, 2, (short) 1));
      topics.add(new NewTopic(copy, 2, (short) 1));
      admin.createTopics(topics).all().get();
      write(bootstrap, topic, records);
      copyAll(bootstrap, topic, copy, group, records);
      read(bootstrap, copy, records);
      Map<TopicPartition, OffsetAndMetadata> offsets =
          admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
      long committed = 0;
      for (OffsetAndMetadata each : offsets.values()) committed += each.offset();
      System.out.println("committed " + committed);
      System.out.println("nodes " + admin.describeCluster().nodes().get().size());
      System.out.println("groups " + admin.describeConsumerGroups(Collections.singleton(group)).all().get().size());
    }
  }

  static void write(String bootstrap, String topic, int records) throws Exception {
    String[] codecs = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (int c = 0; c < codecs.length; c++) {
      Properties properties = properties(bootstrap, "enable.idempotence", "true", "compression.type", codecs[c]);
      try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
        for (int i = c; i < records; i += codecs.length)
          producer.send(new ProducerRecord<>(topic, "k" + i, String.valueOf(i)));
      }
    }
  }

  /** Fifty records a transaction; an aborted one is read and written again. */
  static void copyAll(String bootstrap, String from, String to, String group, int records) {
    Properties in = properties(bootstrap, "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
        "max.poll.records", "50", "isolation.level", "read_committed");
    Properties out = properties(bootstrap, "transactional.id", group);
    int copied = 0, transactions = 0, aborted = 0;
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(in);
        KafkaProducer<String, String> producer = new KafkaProducer<>(out)) {
      producer.initTransactions();
      consumer.subscribe(Collections.singleton(from));
      while (copied < records) {
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        Map<TopicPartition, Long> first = new HashMap<>();
        int count = 0;
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
          if (count == 0) producer.beginTransaction();
          TopicPartition partition = new TopicPartition(record.topic(), record.partition());
          first.putIfAbsent(partition, record.offset());
          next.put(partition, new OffsetAndMetadata(record.offset() + 1));
          producer.send(new ProducerRecord<>(to, record.key(), record.value()));
          count++;
        }
        if (count == 0) continue;
        producer.sendOffsetsToTransaction(next, group);
        if (transactions++ % 3 == 2) {
          producer.abortTransaction();
          aborted++;
          for (Map.Entry<TopicPartition, Long> each : first.entrySet()) consumer.seek(each.getKey(), each.getValue());
        } else {
          producer.commitTransaction();
          copied += count;
        }
      }
    }
    System.out.println("aborted " + (aborted > 0));
  }

  static void read(String bootstrap, String topic, int records) {
    Properties in = properties(bootstrap, "group.id", topic + "-reader", "auto.offset.reset", "earliest", "isolation.level", "read_committed");
    TreeMap<Integer, Integer> times = new TreeMap<>();
    int empty = 0;
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(in)) {
      consumer.subscribe(Collections.singleton(topic));
      // Some empty polls after the last record: what was aborted must not come later either.
      while (empty < (times.size() < records ? 60 : 4)) {
        int count = 0;
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
          times.merge(Integer.parseInt(record.value()), 1, Integer::sum);
          count++;
        }
        empty = count == 0 ? empty + 1 : 0;
      }
    }
    boolean isOnce = times.values().stream().allMatch(count -> count == 1);
    System.out.println("read " + times.size() + (isOnce ? " once each" : " some twice"));
  }
}
