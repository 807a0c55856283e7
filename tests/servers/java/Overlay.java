import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder;
import com.amazonaws.kinesisvideo.parser.ebml.InputStreamParserByteSource;
import com.amazonaws.kinesisvideo.parser.examples.KinesisVideoBoundingBoxFrameViewer;
import com.amazonaws.kinesisvideo.parser.kinesis.KinesisRecordProcessor;
import com.amazonaws.kinesisvideo.parser.mkv.StreamingMkvReader;
import com.amazonaws.kinesisvideo.parser.rekognition.pojo.RekognizedFragmentsIndex;
import com.amazonaws.kinesisvideo.parser.rekognition.pojo.RekognizedOutput;
import com.amazonaws.kinesisvideo.parser.utilities.FrameVisitor;
import com.amazonaws.kinesisvideo.parser.utilities.H264BoundingBoxFrameRenderer;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.IRecordProcessorCheckpointer;
import com.amazonaws.services.kinesis.model.Record;
import com.amazonaws.services.kinesisvideo.AmazonKinesisVideoMediaClientBuilder;
import com.amazonaws.services.kinesisvideo.model.GetMediaRequest;
import com.amazonaws.services.kinesisvideo.model.StartSelector;
import java.awt.image.BufferedImage;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Set;

/**
 * Amazon's overlay of face records over a stream: its record processor, its frame visitor and its renderer with the decoder; only the window
 * that they draw into is replaced, as there is no screen. Overlay ENDPOINT STREAM RECORDS.jsonl FRAMES KEY SECRET
 */
public class Overlay {
    /** Instead of the window: counts what would be drawn. */
    static class Counted extends KinesisVideoBoundingBoxFrameViewer {
        static int frames = 0;
        static int most;
        static int faces = 0;
        static final Set<Integer> drawn = new HashSet<>();

        Counted() {
            super(1, 1);
        }

        @Override
        public void setVisible(boolean shown) {}

        @Override
        public void update(BufferedImage image) {
            counted();
        }

        @Override
        public void update(BufferedImage image, RekognizedOutput record) {
            if (drawn.add(System.identityHashCode(record))) {
                faces += record.getFaceSearchOutputs().size();
            }
            counted();
        }

        private void counted() {
            if (++frames == most) {
                System.out.println("joined " + drawn.size() + " faces " + faces);
                System.exit(0);
            }
        }
    }

    public static void main(String[] a) throws Exception {
        var keys = new AWSStaticCredentialsProvider(new BasicAWSCredentials(a[4], a[5]));
        var index = new RekognizedFragmentsIndex();
        var records = new ArrayList<Record>();
        for (String line : Files.readAllLines(Path.of(a[2]))) {
            records.add(new Record().withSequenceNumber("" + records.size()).withPartitionKey("").withData(ByteBuffer.wrap(line.getBytes("UTF-8"))));
        }
        var nobody = (IRecordProcessorCheckpointer) Proxy.newProxyInstance(Overlay.class.getClassLoader(),
            new Class<?>[] {IRecordProcessorCheckpointer.class}, (proxy, method, arguments) -> null);
        var processor = new KinesisRecordProcessor(index, keys);
        processor.initialize("one");
        processor.processRecords(records, nobody);
        System.out.println("records " + records.size());

        // A window cannot be made without a screen, so no constructor of its class is run.
        var field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        var viewer = (Counted) ((sun.misc.Unsafe) field.get(null)).allocateInstance(Counted.class);
        Counted.most = Integer.parseInt(a[3]);
        var client = AmazonKinesisVideoMediaClientBuilder.standard()
            .withEndpointConfiguration(new AwsClientBuilder.EndpointConfiguration(a[0], "us-west-2")).withCredentials(keys).build();
        var payload = client.getMedia(new GetMediaRequest().withStreamName(a[1])
            .withStartSelector(new StartSelector().withStartSelectorType("EARLIEST"))).getPayload();
        StreamingMkvReader.createDefault(new InputStreamParserByteSource(payload))
            .apply(FrameVisitor.create(H264BoundingBoxFrameRenderer.create(viewer, index)));
    }
}
