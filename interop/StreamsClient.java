// A word count of Kafka Streams: words are grouped by their letters in lower case, so that a repartition topic lies between reading
// and counting, and the counts are kept in a store with a changelog. Exactly once.
// Run from its source: java -cp <jars> StreamsClient.java run <bootstrap> <application> <protocol> <directory> <standbys>
//                 or: java -cp <jars> StreamsClient.java produce <bootstrap> <topic> <lines> <from>
//                 or: java -cp <jars> StreamsClient.java counts <bootstrap> <topic> <lines>
// `run` prints the states it goes through, and stops in good order when it is told to.
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

public class StreamsClient {
  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "produce" -> produce(args[1], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
      case "counts" -> counts(args[1], args[2], args[3]);
      case "run" -> run(args[1], args[2], args[3], args[4], args[5]);
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** Line n says w(n mod 17) and all: 17 words that come equally often, and one that comes every time. */
  static void produce(String bootstrap, String topic, int lines, int from) {
    var properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      for (int line = from; line < from + lines; line += 1)
        producer.send(new ProducerRecord<>(topic, "k" + line, "W" + line % 17 + " all"));
    }
  }

  /** Every count that was committed, until all lines are counted and nothing follows any more. */
  static void counts(String bootstrap, String topic, String lines) {
    var properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("isolation.level", "read_committed");
    try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
      var partitions = List.of(new TopicPartition(topic, 0));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long deadline = System.nanoTime() + 150_000_000_000L;
      boolean isComplete = false;
      while (System.nanoTime() < deadline) {
        var records = consumer.poll(Duration.ofSeconds(3));
        if (records.isEmpty() && isComplete) return;
        for (var record : records) {
          System.out.println(record.key() + " " + record.value());
          if (record.key().equals("all") && record.value().equals(lines)) isComplete = true;
        }
      }
    }
  }

  static void run(String bootstrap, String application, String protocol, String directory, String standbys)
      throws Exception {
    var builder = new StreamsBuilder();
    builder
        .stream(application + "-lines", Consumed.with(Serdes.String(), Serdes.String()))
        .flatMapValues(line -> Arrays.asList(line.toLowerCase(Locale.ROOT).split(" ")))
        .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
        .count(Materialized.as("counts"))
        .toStream()
        .mapValues(count -> Long.toString(count))
        .to(application + "-counts", Produced.with(Serdes.String(), Serdes.String()));
    var properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("application.id", application);
    properties.put("group.protocol", protocol);
    properties.put("processing.guarantee", "exactly_once_v2");
    properties.put("state.dir", directory);
    properties.put("application.server", "127.0.0.1:" + (2000 + ProcessHandle.current().pid() % 50000));
    properties.put("commit.interval.ms", "100");
    properties.put("num.stream.threads", "2");
    properties.put("default.key.serde", Serdes.StringSerde.class);
    properties.put("default.value.serde", Serdes.StringSerde.class);
    if (protocol.equals("classic")) {
      properties.put("num.standby.replicas", standbys);
      properties.put("session.timeout.ms", "6000");
      properties.put("heartbeat.interval.ms", "1000");
    }
    var streams = new KafkaStreams(builder.build(), properties);
    streams.setStateListener((now, before) -> System.out.println("state " + now));
    streams.setUncaughtExceptionHandler(failure -> {
      System.out.println("failed " + failure);
      failure.printStackTrace(System.out);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      if (streams.close(Duration.ofSeconds(30))) System.out.println("closed");
    }));
    streams.start();
    new CountDownLatch(1).await();
  }
}
