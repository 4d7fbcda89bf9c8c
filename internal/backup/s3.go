package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 is how storage that speaks the S3 protocol is reached. The credentials are those of
// its own tools: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the shared credentials
// file, else the role of the machine.
type S3 struct {
	Endpoint string // URL
	Region   string // "" asks the server
}

// bucket is a place in a bucket: a backup is the objects under prefix/name/.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // "" or with a slash at its end
}

func (s S3) open(address string) (Place, error) {
	name, prefix, _ := strings.Cut(address, "/")
	u, err := url.Parse(s.Endpoint)
	switch {
	case name == "":
		return nil, errors.New("an address in S3 storage is s3://bucket or s3://bucket/prefix")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" && u.Path != "/":
		return nil, errors.New("the endpoint of S3 storage is https://host or http://host:port")
	}
	chain := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}})
	client, err := minio.New(u.Host, &minio.Options{Creds: chain, Secure: u.Scheme == "https", Region: s.Region, BucketLookup: minio.BucketLookupAuto})
	if err != nil {
		return nil, fmt.Errorf("open S3 storage: %w", err)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket{client, name, prefix}, nil
}

func (b bucket) stage() (string, error) { return os.MkdirTemp("", "kassa-backup-") }

// commit uploads the files, and the manifest last: before that there is no backup of the
// name.
func (b bucket) commit(ctx context.Context, staged string, m Manifest) error {
	var files []string
	for _, f := range m.Files {
		files = append(files, f.Name)
	}
	for _, file := range append(files, manifest) {
		// The server compares the digest with what it has received.
		_, err := b.client.FPutObject(ctx, b.name, b.object(m.Name, file), filepath.Join(staged, file), minio.PutObjectOptions{SendContentMd5: true, ContentType: "application/octet-stream"})
		if err != nil {
			return fmt.Errorf("upload %s: %w", file, err)
		}
	}
	return nil
}

func (b bucket) object(name, file string) string { return b.prefix + name + "/" + file }

func (b bucket) names(ctx context.Context) (list []found, err error) {
	for object := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix}) {
		if object.Err != nil {
			return nil, object.Err
		}
		name := path.Base(object.Key)
		if at, err := time.Parse(timeForm, strings.SplitN(name, "-", 2)[0]); err == nil && nameForm.MatchString(name) {
			list = append(list, found{name, at})
		}
	}
	return list, nil
}

func (b bucket) open(ctx context.Context, name, file string) (io.ReadCloser, error) {
	object, err := b.client.GetObject(ctx, b.name, b.object(name, file), minio.GetObjectOptions{})
	if err == nil {
		_, err = object.Stat() // only now the server is asked
	}
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return object, nil
}

func (b bucket) remove(ctx context.Context, name string) error {
	for _, file := range []string{manifest, Ledger, Secret, LogKey, Models} { // an object that is missing is no error
		if err := b.client.RemoveObject(ctx, b.name, b.object(name, file), minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return nil
}
