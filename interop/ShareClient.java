// Does with KafkaShareConsumer what the tools of Kafka do not: answers records one by one, holds them too long, asks for more time.
// Run from its source: java -cp <Kafka's jars> ShareClient.java <bootstrap> <scenario> <topic>. Prints one line an observation.
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class ShareClient {
  static String bootstrap;
  static String topic;

  public static void main(String[] args) throws Exception {
    bootstrap = args[0];
    topic = args[2];
    switch (args[1]) {
      case "produce" -> produce(Integer.parseInt(args[3]));
      case "answers" -> answers();
      case "expiry" -> expiry();
      case "renew" -> renew();
      case "shared" -> shared(Integer.parseInt(args[3]), args[4].equals("halt"));
      case "limit" -> limit();
      default -> throw new IllegalArgumentException(args[1]);
    }
  }

  static void produce(int records) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      for (int index = 0; index < records; index += 1) producer.send(new ProducerRecord<>(topic, "r" + index));
    }
    System.out.println("produced " + records);
  }

  static KafkaShareConsumer<String, String> consumer(String group, String mode) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("group.id", group);
    properties.put("share.acknowledgement.mode", mode);
    var consumer = new KafkaShareConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    consumer.subscribe(List.of(topic));
    return consumer;
  }

  static List<ConsumerRecord<String, String>> some(KafkaShareConsumer<String, String> consumer, int seconds) {
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    List<ConsumerRecord<String, String>> found = new ArrayList<>();
    while (found.isEmpty() && System.nanoTime() < end) consumer.poll(Duration.ofMillis(500)).forEach(found::add);
    return found;
  }

  static void show(String what, List<ConsumerRecord<String, String>> records) {
    for (var record : records) System.out.println(what + " " + record.value() + " " + record.deliveryCount().orElse((short) 0));
  }

  static void commit(KafkaShareConsumer<String, String> consumer) {
    consumer.commitSync().forEach((partition, problem) -> System.out.println("commit " + problem.map(Throwable::toString).orElse("ok")));
  }

  /** Record 0 is accepted, 1 released, 2 rejected; the released one alone comes again. */
  static void answers() {
    try (var consumer = consumer("answers", "explicit")) {
      var first = some(consumer, 20);
      show("first", first);
      for (var record : first) {
        consumer.acknowledge(record, Map.of("r1", AcknowledgeType.RELEASE, "r2", AcknowledgeType.REJECT).getOrDefault(record.value(), AcknowledgeType.ACCEPT));
      }
      commit(consumer);
      var second = some(consumer, 20);
      show("second", second);
      second.forEach(consumer::acknowledge);
      commit(consumer);
      show("third", some(consumer, 3));
    }
  }

  /** One holds records for longer than their lock: another gets them, and the answer of the first is refused. */
  static void expiry() throws Exception {
    try (var slow = consumer("expiry", "explicit"); var quick = consumer("expiry", "explicit")) {
      var held = some(slow, 20);
      show("slow", held);
      var again = some(quick, 20);
      show("quick", again);
      again.forEach(quick::acknowledge);
      commit(quick);
      held.forEach(slow::acknowledge);
      commit(slow);
    }
  }

  /** Locks that are renewed in time hold for longer than they are. */
  static void renew() throws Exception {
    try (var holder = consumer("renew", "explicit"); var other = consumer("renew", "explicit")) {
      var held = some(holder, 20);
      show("held", held);
      for (int round = 0; round < 4; round += 1) {
        held.forEach((record) -> holder.acknowledge(record, AcknowledgeType.RENEW));
        commit(holder);
        holder.poll(Duration.ofMillis(100));
        show("other", some(other, 1));
      }
      held.forEach(holder::acknowledge);
      commit(holder);
      show("other", some(other, 3));
    }
  }

  /** Several members at a time, each in its own thread, until all is read; or until the process is gone in the middle of it. */
  static void shared(int records, boolean halts) throws Exception {
    var seen = java.util.concurrent.ConcurrentHashMap.<String>newKeySet();
    var times = new java.util.concurrent.atomic.AtomicInteger();
    Runnable member = () -> {
      try (var consumer = consumer("shared", "implicit")) {
        long end = System.nanoTime() + 40_000_000_000L;
        while (seen.size() < records && System.nanoTime() < end) {
          for (var record : consumer.poll(Duration.ofMillis(500))) {
            seen.add(record.value());
            times.incrementAndGet();
            if (halts && times.get() > records / 3) Runtime.getRuntime().halt(0);
          }
        }
        consumer.commitSync(); // Closing gives back what the last poll returned.
      }
    };
    var threads = List.of(new Thread(member), new Thread(member), new Thread(member));
    threads.forEach(Thread::start);
    for (Thread thread : threads) thread.join();
    System.out.println("saw " + seen.size() + " in " + times.get());
  }

  /** A record that nobody can process is given out as often as the group allows, and no more. */
  static void limit() {
    try (var consumer = consumer("limit", "explicit")) {
      for (int round = 0; round < 8; round += 1) {
        var records = some(consumer, round == 0 ? 20 : 3);
        show("try", records);
        records.forEach((record) -> consumer.acknowledge(record, AcknowledgeType.RELEASE));
        commit(consumer);
      }
    }
  }
}
