import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder;
import com.amazonaws.kinesisvideo.parser.ebml.InputStreamParserByteSource;
import com.amazonaws.kinesisvideo.parser.mkv.Frame;
import com.amazonaws.kinesisvideo.parser.mkv.StreamingMkvReader;
import com.amazonaws.kinesisvideo.parser.utilities.FragmentMetadata;
import com.amazonaws.kinesisvideo.parser.utilities.FrameVisitor;
import com.amazonaws.kinesisvideo.parser.utilities.MkvTrackMetadata;
import com.amazonaws.services.kinesisvideo.AmazonKinesisVideoMediaClientBuilder;
import com.amazonaws.services.kinesisvideo.model.GetMediaRequest;
import com.amazonaws.services.kinesisvideo.model.StartSelector;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Optional;

/** Every frame that Amazon's parser library finds: number, producer ms, track, time, digest. GetParser ENDPOINT STREAM FRAMES KEY SECRET */
public class GetParser {
    public static void main(String[] a) throws Exception {
        int most = Integer.parseInt(a[2]);
        var client = AmazonKinesisVideoMediaClientBuilder.standard()
            .withEndpointConfiguration(new AwsClientBuilder.EndpointConfiguration(a[0], "us-west-2"))
            .withCredentials(new AWSStaticCredentialsProvider(new BasicAWSCredentials(a[3], a[4]))).build();
        var payload = client.getMedia(new GetMediaRequest().withStreamName(a[1])
            .withStartSelector(new StartSelector().withStartSelectorType("EARLIEST"))).getPayload();
        var reader = StreamingMkvReader.createDefault(new InputStreamParserByteSource(payload));
        int[] seen = {0};
        reader.apply(FrameVisitor.create(new FrameVisitor.FrameProcessor() {
            public void process(Frame frame, MkvTrackMetadata track, Optional<FragmentMetadata> of) {
                try {
                    byte[] data = new byte[frame.getFrameData().remaining()];
                    frame.getFrameData().duplicate().get(data);
                    String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
                    System.out.println("frame " + of.get().getFragmentNumberString() + " " + of.get().getProducerSideTimestampMillis()
                        + " " + frame.getTrackNumber() + " " + frame.getTimeCode() + " " + digest);
                } catch (Exception problem) {
                    throw new RuntimeException(problem);
                }
                if (++seen[0] == most) {
                    System.exit(0);
                }
            }
        }));
    }
}
