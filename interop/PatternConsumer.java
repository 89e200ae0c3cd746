import java.time.Duration;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.serialization.StringDeserializer;

/** PatternConsumer BOOTSTRAP GROUP REGEX: subscribes by an expression that the broker evaluates, prints each assignment. */
public class PatternConsumer {
    public static void main(String[] args) {
        Map<String, Object> config = Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
            ConsumerConfig.GROUP_ID_CONFIG, args[1],
            ConsumerConfig.GROUP_PROTOCOL_CONFIG, "consumer");
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(new SubscriptionPattern(args[2]));
            String before = null;
            while (true) {
                consumer.poll(Duration.ofMillis(100));
                String now = consumer.assignment().stream().map(Object::toString).sorted().collect(Collectors.joining(","));
                if (!now.equals(before)) System.out.println("assigned " + now);
                before = now;
            }
        } catch (Exception e) {
            System.out.println("failed " + e);
        }
    }
}
