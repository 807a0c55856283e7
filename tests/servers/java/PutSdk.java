import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.kinesisvideo.client.KinesisVideoClient;
import com.amazonaws.kinesisvideo.client.KinesisVideoClientConfiguration;
import com.amazonaws.kinesisvideo.internal.client.mediasource.MediaSource;
import com.amazonaws.kinesisvideo.java.auth.JavaCredentialsProviderImpl;
import com.amazonaws.kinesisvideo.java.client.KinesisVideoJavaClientFactory;
import com.amazonaws.kinesisvideo.java.mediasource.file.AudioVideoFileMediaSource;
import com.amazonaws.kinesisvideo.java.mediasource.file.AudioVideoFileMediaSourceConfiguration;
import com.amazonaws.kinesisvideo.java.mediasource.file.ImageFileMediaSource;
import com.amazonaws.kinesisvideo.java.mediasource.file.ImageFileMediaSourceConfiguration;
import com.amazonaws.kinesisvideo.producer.DeviceInfo;
import com.amazonaws.kinesisvideo.producer.MkvTrackInfoType;
import com.amazonaws.kinesisvideo.producer.StorageInfo;
import com.amazonaws.kinesisvideo.producer.TrackInfo;
import com.amazonaws.kinesisvideo.storage.DefaultStorageCallbacks;
import java.util.HexFormat;
import java.util.concurrent.Executors;

/** The producer SDK over its native core. PutSdk ENDPOINT STREAM FRAME_DIR video|audiovideo SECONDS KEY SECRET */
public class PutSdk {
    /** avcC of a 640x480 stream, and AudioSpecificConfig of 48 kHz stereo AAC LC: the node stores them as they are. */
    static final byte[] AVC = HexFormat.of().parseHex("01640028ffe10004276400280100042 8ee3cb0".replace(" ", ""));
    static final byte[] AAC = HexFormat.of().parseHex("1190");

    public static void main(String[] a) throws Exception {
        var keys = new AWSStaticCredentialsProvider(new BasicAWSCredentials(a[5], a[6]));
        var configuration = KinesisVideoClientConfiguration.builder().withRegion("us-west-2").withEndpoint(a[0])
            .withCredentialsProvider(new JavaCredentialsProviderImpl(keys)).withStorageCallbacks(new DefaultStorageCallbacks()).build();
        var storage = new StorageInfo(0, StorageInfo.DeviceStorageType.DEVICE_STORAGE_TYPE_IN_MEM, 64_000_000, 90, "/tmp");
        var device = new DeviceInfo(0, "driver", storage, 10, null);
        KinesisVideoClient client = KinesisVideoJavaClientFactory.createKinesisVideoClient(configuration, device, Executors.newScheduledThreadPool(2));
        MediaSource source;
        if (a[3].equals("video")) {
            var images = new ImageFileMediaSource(a[1]);
            images.configure(new ImageFileMediaSourceConfiguration.Builder().fps(25).dir(a[2]).filenameFormat("frame-%03d.h264")
                .startFileIndex(1).endFileIndex(375).build());
            source = images;
        } else {
            var both = new AudioVideoFileMediaSource(a[1]);
            var tracks = new TrackInfo[] {
                new TrackInfo(1, "V_MPEG4/ISO/AVC", "kinesis_video", AVC, MkvTrackInfoType.VIDEO),
                new TrackInfo(2, "A_AAC", "audio", AAC, MkvTrackInfoType.AUDIO)};
            both.configure(new AudioVideoFileMediaSourceConfiguration.AudioVideoBuilder().withDir(a[2]).withRetentionPeriodInHours(1)
                .withAbsoluteTimecode(true).withTrackInfoList(tracks).build());
            source = both;
        }
        client.registerMediaSource(source);
        source.start();
        Thread.sleep(Long.parseLong(a[4]) * 1000);
        long before = System.currentTimeMillis();
        source.stop();
        System.out.println("stopped in " + (System.currentTimeMillis() - before) + " ms");
        System.exit(0);
    }
}
