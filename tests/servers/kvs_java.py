"""Amazon's Java programs for Kinesis Video: the producer SDK over its native core, SDK v1's PutMedia, the parser library."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.servers.common import Unavailable, cache_dir, run_checked

PRODUCER, PARSER, SDK_V1 = "1.12.0", "1.2.5", "1.12.162"
_SOURCES = Path(__file__).with_name("java")
# Without the imported list of versions the parts of SDK v1 come in two versions and do not load.
_POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>streamproc</groupId><artifactId>kvs</artifactId><version>1</version>
<dependencyManagement><dependencies>
<dependency><groupId>com.amazonaws</groupId><artifactId>aws-java-sdk-bom</artifactId><version>{SDK_V1}</version><type>pom</type>
<scope>import</scope></dependency>
</dependencies></dependencyManagement>
<dependencies>
<dependency><groupId>com.amazonaws</groupId><artifactId>amazon-kinesis-video-streams-parser-library</artifactId><version>{PARSER}</version></dependency>
<dependency><groupId>com.amazonaws</groupId><artifactId>amazon-kinesis-video-streams-producer-sdk-java</artifactId><version>{PRODUCER}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def install() -> Path:
    """The folder with jars, native core, sample media and our compiled drivers; fetched by Maven the first time."""
    digest = hashlib.sha256(_POM.encode() + b"".join(path.read_bytes() for path in sorted(_SOURCES.glob("*.java"))))
    place = cache_dir() / f"kvs-java-{digest.hexdigest()[:12]}"
    if place.is_dir():
        return place
    for tool in ("java", "javac", "mvn"):
        if not shutil.which(tool):
            raise Unavailable(f"Amazon's Java programs need {tool}")
    work = place.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "pom.xml").write_text(_POM)
    run_checked(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"],
        cwd=work,
    )
    jar = next((work / "libs").glob("amazon-kinesis-video-streams-producer-sdk-java-*.jar"))
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if name.startswith("data/") or name == "lib/ubuntu/libKinesisVideoProducerJNI.so":
                archive.extract(name, work)
    sources = [str(path) for path in sorted(_SOURCES.glob("*.java"))]
    run_checked(["javac", "-nowarn", "-d", "classes", "-cp", "libs/*", *sources], cwd=work)
    work.rename(place)
    return place


def run(main: str, *arguments: str, timeout: float = 120, trust: Path | None = None) -> list[str]:
    """The lines that a driver prints. ``trust``: a Java key store with the certificates to trust."""
    place = install()
    options = [
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.library.path=lib/ubuntu",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]
    if trust is not None:
        options += [f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    command = ["java", *options, "-cp", "classes:libs/*", main, *arguments]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise AssertionError(f"{main} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-3000:]}")
    return done.stdout.splitlines()


def trust_store(certificate: Path, place: Path) -> Path:
    """A Java key store that trusts one authority."""
    command = ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", str(certificate)]
    run_checked([*command, "-keystore", str(place), "-storepass", "changeit"])
    return place
