import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Label;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Type;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.OneofDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * Confluent's converters are on no registry that everybody may use. These read one schema each, given by the benchmark, and do
 * no more than they must: they flatter the sink.
 */
public final class SinkConverters {
  private static final int PREFIX = 5;

  private abstract static class Reading implements Converter {
    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
      throw new DataException("these converters only read");
    }
  }

  /** Schemaless JSON behind a schema's id. */
  public static final class FramedJson extends Reading {
    private final JsonConverter json = new JsonConverter();

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
      json.configure(Map.of("schemas.enable", "false"), isKey);
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
      return json.toConnectData(topic, Arrays.copyOfRange(value, PREFIX, value.length));
    }
  }

  public static final class Avro extends Reading {
    private GenericDatumReader<GenericRecord> reader;
    private Schema schema;
    private BinaryDecoder decoder;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
      org.apache.avro.Schema avro = new org.apache.avro.Schema.Parser().parse((String) configs.get("schema"));
      reader = new GenericDatumReader<>(avro);
      schema = connect(avro, false);
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
      try {
        decoder = DecoderFactory.get().binaryDecoder(value, PREFIX, value.length - PREFIX, decoder);
        return new SchemaAndValue(schema, value(schema, reader.read(null, decoder)));
      } catch (java.io.IOException cause) {
        throw new DataException(cause);
      }
    }

    private static Schema connect(org.apache.avro.Schema avro, boolean isOptional) {
      SchemaBuilder builder;
      switch (avro.getType()) {
        case STRING: builder = SchemaBuilder.string(); break;
        case LONG: builder = SchemaBuilder.int64(); break;
        case INT: builder = SchemaBuilder.int32(); break;
        case DOUBLE: builder = SchemaBuilder.float64(); break;
        case BOOLEAN: builder = SchemaBuilder.bool(); break;
        case ARRAY: builder = SchemaBuilder.array(connect(avro.getElementType(), false)); break;
        case UNION: return connect(avro.getTypes().get(1), true); // ["null", type]
        case RECORD:
          builder = SchemaBuilder.struct();
          for (org.apache.avro.Schema.Field field : avro.getFields())
            builder.field(field.name(), connect(field.schema(), false));
          break;
        default: throw new DataException("no " + avro.getType() + " here");
      }
      return isOptional ? builder.optional().build() : builder.build();
    }

    private static Object value(Schema schema, Object from) {
      if (from == null) return null;
      switch (schema.type()) {
        case STRING: return from.toString();
        case ARRAY:
          List<Object> list = new ArrayList<>();
          for (Object each : (List<?>) from) list.add(value(schema.valueSchema(), each));
          return list;
        case STRUCT:
          GenericRecord record = (GenericRecord) from;
          Struct struct = new Struct(schema);
          for (org.apache.kafka.connect.data.Field field : schema.fields())
            struct.put(field, value(field.schema(), record.get(field.index())));
          return struct;
        default: return from;
      }
    }
  }

  public static final class Protobuf extends Reading {
    private Descriptor descriptor;
    private Schema schema;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
      try {
        FileDescriptorProto file = FileDescriptorProto.newBuilder().setSyntax("proto3").addMessageType(pageView()).build();
        descriptor = FileDescriptor.buildFrom(file, new FileDescriptor[0]).findMessageTypeByName("PageView");
        schema = connect(descriptor);
      } catch (com.google.protobuf.Descriptors.DescriptorValidationException cause) {
        throw new DataException(cause);
      }
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
      try {
        int from = PREFIX + 1; // The message's index is one byte.
        var input = com.google.protobuf.CodedInputStream.newInstance(value, from, value.length - from);
        return new SchemaAndValue(schema, struct(schema, descriptor, DynamicMessage.parseFrom(descriptor, input)));
      } catch (java.io.IOException cause) {
        throw new DataException(cause);
      }
    }

    private static DescriptorProto pageView() {
      DescriptorProto.Builder view = DescriptorProto.newBuilder().setName("PageView");
      Type[] types = {
        Type.TYPE_STRING, Type.TYPE_INT64, Type.TYPE_STRING, Type.TYPE_STRING, Type.TYPE_STRING, Type.TYPE_STRING,
        Type.TYPE_INT64, Type.TYPE_INT32, Type.TYPE_DOUBLE, Type.TYPE_BOOL, Type.TYPE_MESSAGE, Type.TYPE_STRING,
      };
      String[] names = {
        "event_id", "user_id", "session_id", "event_type", "url", "referrer",
        "event_ts", "duration_ms", "price", "is_bot", "device", "tags",
      };
      for (int at = 0; at < names.length; at += 1) {
        FieldDescriptorProto.Builder field = FieldDescriptorProto.newBuilder()
            .setName(names[at]).setNumber(at + 1).setType(types[at]).setLabel(Label.LABEL_OPTIONAL);
        if (types[at] == Type.TYPE_MESSAGE) field.setTypeName(".PageView.Device");
        if (names[at].equals("tags")) field.setLabel(Label.LABEL_REPEATED);
        if (List.of("referrer", "duration_ms", "price").contains(names[at])) {
          field.setProto3Optional(true).setOneofIndex(view.getOneofDeclCount());
          view.addOneofDecl(OneofDescriptorProto.newBuilder().setName("_" + names[at]));
        }
        view.addField(field);
      }
      DescriptorProto.Builder device = DescriptorProto.newBuilder().setName("Device");
      for (String name : new String[] {"os", "browser", "screen_w"})
        device.addField(FieldDescriptorProto.newBuilder()
            .setName(name).setNumber(device.getFieldCount() + 1).setLabel(Label.LABEL_OPTIONAL)
            .setType(name.equals("screen_w") ? Type.TYPE_INT32 : Type.TYPE_STRING));
      return view.addNestedType(device).build();
    }

    private static Schema connect(Descriptor descriptor) {
      SchemaBuilder struct = SchemaBuilder.struct();
      for (FieldDescriptor field : descriptor.getFields()) {
        SchemaBuilder one;
        switch (field.getJavaType()) {
          case STRING: one = SchemaBuilder.string(); break;
          case LONG: one = SchemaBuilder.int64(); break;
          case INT: one = SchemaBuilder.int32(); break;
          case DOUBLE: one = SchemaBuilder.float64(); break;
          case BOOLEAN: one = SchemaBuilder.bool(); break;
          default: struct.field(field.getName(), connect(field.getMessageType())); continue;
        }
        if (field.isRepeated()) struct.field(field.getName(), SchemaBuilder.array(one.build()).build());
        else struct.field(field.getName(), field.hasPresence() ? one.optional().build() : one.build());
      }
      return struct.build();
    }

    private static Struct struct(Schema schema, Descriptor descriptor, DynamicMessage message) {
      Struct struct = new Struct(schema);
      List<FieldDescriptor> fields = descriptor.getFields();
      for (int at = 0; at < fields.size(); at += 1) {
        FieldDescriptor field = fields.get(at);
        Object value = message.getField(field);
        if (field.hasPresence() && !message.hasField(field) && field.getJavaType() != FieldDescriptor.JavaType.MESSAGE)
          continue;
        struct.put(schema.fields().get(at), value instanceof DynamicMessage nested
            ? struct(schema.fields().get(at).schema(), field.getMessageType(), nested)
            : value);
      }
      return struct;
    }
  }
}
