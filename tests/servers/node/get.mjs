// The AWS SDK for JavaScript 3 as a consumer: get.mjs ENDPOINT STREAM KEY SECRET FOLDER CHUNKS
// Prints one JSON document; media, clip and picture go into FOLDER.
import { writeFileSync } from "node:fs";
import { DescribeStreamCommand, GetDataEndpointCommand, KinesisVideoClient, ListStreamsCommand } from "@aws-sdk/client-kinesis-video";
import {
  GetClipCommand,
  GetImagesCommand,
  GetMediaForFragmentListCommand,
  KinesisVideoArchivedMediaClient,
  paginateListFragments,
} from "@aws-sdk/client-kinesis-video-archived-media";
import { GetMediaCommand, KinesisVideoMediaClient } from "@aws-sdk/client-kinesis-video-media";

const [endpoint, StreamName, accessKeyId, secretAccessKey, folder, chunks] = process.argv.slice(2);
const options = { endpoint, region: "eu-west-1", credentials: { accessKeyId, secretAccessKey } };
const control = new KinesisVideoClient(options);
const found = { names: (await control.send(new ListStreamsCommand({}))).StreamInfoList.map((each) => each.StreamName) };
found.arn = (await control.send(new DescribeStreamCommand({ StreamName }))).StreamInfo.StreamARN;
found.endpoint = (await control.send(new GetDataEndpointCommand({ StreamName, APIName: "GET_MEDIA" }))).DataEndpoint;

const archive = new KinesisVideoArchivedMediaClient({ ...options, endpoint: found.endpoint });
found.fragments = [];
for await (const page of paginateListFragments({ client: archive, pageSize: 4 }, { StreamName })) found.fragments.push(...page.Fragments);
found.fragments.sort((a, b) => (a.FragmentNumber < b.FragmentNumber ? -1 : 1));
const [first, last] = [found.fragments[0], found.fragments.at(-1)];
const range = { StartTimestamp: first.ProducerTimestamp, EndTimestamp: last.ProducerTimestamp };

const listed = await archive.send(new GetMediaForFragmentListCommand({ StreamName, Fragments: [first.FragmentNumber] }));
writeFileSync(`${folder}/first.mkv`, await listed.Payload.transformToByteArray());
const clip = await archive.send(
  new GetClipCommand({ StreamName, ClipFragmentSelector: { FragmentSelectorType: "PRODUCER_TIMESTAMP", TimestampRange: range } }),
);
writeFileSync(`${folder}/clip.mp4`, await clip.Payload.transformToByteArray());
const images = await archive.send(
  new GetImagesCommand({ StreamName, ImageSelectorType: "PRODUCER_TIMESTAMP", ...range, Format: "JPEG", SamplingInterval: 1000 }),
);
found.images = images.Images.map((each) => each.TimeStamp);
writeFileSync(`${folder}/first.jpg`, Buffer.from(images.Images[0].ImageContent, "base64"));

const media = new KinesisVideoMediaClient({ ...options, endpoint: found.endpoint });
const answer = await media.send(new GetMediaCommand({ StreamName, StartSelector: { StartSelectorType: "EARLIEST" } }));
const parts = [];
let tokens = 0;
for await (const part of answer.Payload) {
  parts.push(part);
  tokens = Buffer.concat(parts).toString("latin1").split("AWS_KINESISVIDEO_CONTINUATION_TOKEN").length - 1;
  if (tokens >= Number(chunks)) break;
}
writeFileSync(`${folder}/media.mkv`, Buffer.concat(parts));
console.log(JSON.stringify(found));
process.exit(0);
