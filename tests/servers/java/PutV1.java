import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.services.kinesisvideo.AmazonKinesisVideoPutMediaClient;
import com.amazonaws.services.kinesisvideo.PutMediaAckResponseHandler;
import com.amazonaws.services.kinesisvideo.model.AckEvent;
import com.amazonaws.services.kinesisvideo.model.PutMediaRequest;
import java.io.FileInputStream;
import java.util.Date;
import java.util.concurrent.CountDownLatch;

/** PutMedia of the AWS SDK for Java, version 1. PutV1 ENDPOINT STREAM FILE ABSOLUTE|RELATIVE START_MS KEY SECRET */
public class PutV1 {
    public static void main(String[] a) throws Exception {
        var done = new CountDownLatch(1);
        var client = AmazonKinesisVideoPutMediaClient.builder().withRegion("us-west-2").withEndpoint(a[0])
            .withCredentials(new AWSStaticCredentialsProvider(new BasicAWSCredentials(a[5], a[6]))).withConnectionTimeoutInMillis(10_000).build();
        var request = new PutMediaRequest().withStreamName(a[1]).withFragmentTimecodeType(a[3])
            .withPayload(new FileInputStream(a[2])).withProducerStartTimestamp(new Date(Long.parseLong(a[4])));
        client.putMedia(request, new PutMediaAckResponseHandler() {
            public void onAckEvent(AckEvent event) {
                System.out.println("ack " + event.getAckEventType().getEnumValue() + " " + event.getFragmentNumber());
            }
            public void onFailure(Throwable problem) {
                System.out.println("failure " + problem);
                done.countDown();
            }
            public void onComplete() {
                System.out.println("complete");
                done.countDown();
            }
        });
        done.await();
        client.close();
        System.exit(0);
    }
}
