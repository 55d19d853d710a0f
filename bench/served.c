/*
 * The baseline of bench/tree.py: one folder in memory, served by libfuse's low-level interface.
 *
 *	served [-o OPTIONS] -f MOUNTPOINT FOLDER
 *
 * Serves copies of what lies in FOLDER (files with their bytes, folders as empty ones), to the
 * kernel by the same rules as rvfs: reads are direct, names, attributes and listings are kept.
 * A write replaces the bytes from its start. One thread, no logging, no allocation per request.
 */
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOREVER 86400.0
#define ENTRIES 256
#define BYTES 65536

static struct entry {
	char name[256];
	mode_t mode;
	size_t size;
	char *data;
} entries[ENTRIES]; /* inode 1 is the folder, inode 2 + i is entries[i] */
static int count;

static struct stat attributes(fuse_ino_t ino)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	if (ino > 1) {
		struct entry *e = &entries[ino - 2];

		st.st_mode = e->mode;
		st.st_nlink = S_ISDIR(e->mode) ? 2 : 1;
		st.st_size = e->size;
		st.st_blocks = (e->size + 511) / 512;
	}
	return st;
}

static struct fuse_entry_param entry_of(fuse_ino_t ino)
{
	return (struct fuse_entry_param){
		.ino = ino, .attr = attributes(ino),
		.attr_timeout = FOREVER, .entry_timeout = FOREVER,
	};
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	for (int i = 0; parent == 1 && i < count; i++) {
		if (strcmp(entries[i].name, name) == 0) {
			struct fuse_entry_param e = entry_of(i + 2);

			fuse_reply_entry(req, &e);
			return;
		}
	}
	fuse_reply_err(req, ENOENT);
}

static void getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = attributes(ino);

	fuse_reply_attr(req, &st, FOREVER);
}

static void setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set,
		    struct fuse_file_info *fi)
{
	getattr(req, ino, fi);
}

static void opendir_(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS); /* the kernel keeps listings, and asks no more */
}

static void readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi)
{
	static char buf[BYTES];
	size_t used = 0;

	if (size > sizeof(buf))
		size = sizeof(buf);
	for (int i = off; ino == 1 && i < count + 2; i++) {
		const char *name = i == 0 ? "." : i == 1 ? ".." : entries[i - 2].name;
		struct fuse_entry_param e = entry_of(i < 2 ? 1 : i);
		size_t len = fuse_add_direntry_plus(req, buf + used, size - used, name, &e, i + 1);

		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buf, used);
}

static void open_(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	fi->keep_cache = 0;
	fuse_reply_open(req, fi);
}

static void read_(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  struct fuse_file_info *fi)
{
	struct entry *e = &entries[ino - 2];
	size_t left = (size_t)off < e->size ? e->size - off : 0;

	fuse_reply_buf(req, e->data + off, left < size ? left : size);
}

static void write_(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	struct entry *e = &entries[ino - 2];

	memcpy(e->data, data, size < e->size ? size : e->size);
	fuse_reply_write(req, size);
}

static void release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = lookup, .getattr = getattr, .setattr = setattr,
	.opendir = opendir_, .readdirplus = readdirplus,
	.open = open_, .read = read_, .write = write_, .release = release,
};

static void copy(const char *folder)
{
	DIR *dir = opendir(folder);

	if (!dir || chdir(folder)) {
		perror(folder);
		exit(1);
	}
	for (struct dirent *d; (d = readdir(dir)) && count < ENTRIES;) {
		struct entry *e = &entries[count];
		struct stat st;

		if (d->d_name[0] == '.' || stat(d->d_name, &st))
			continue;
		strcpy(e->name, d->d_name);
		e->mode = st.st_mode;
		e->data = calloc(1, BYTES);
		if (S_ISREG(st.st_mode)) {
			FILE *file = fopen(d->d_name, "r");

			e->size = fread(e->data, 1, BYTES, file);
			fclose(file);
		}
		count++;
	}
	closedir(dir);
}

int main(int argc, char *argv[])
{
	struct fuse_args args = FUSE_ARGS_INIT(argc - 1, argv);
	struct fuse_cmdline_opts opts;
	struct fuse_session *session;

	if (argc < 3 || fuse_parse_cmdline(&args, &opts) || !opts.mountpoint)
		return 2;
	copy(argv[argc - 1]);
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!session || fuse_set_signal_handlers(session) ||
	    fuse_session_mount(session, opts.mountpoint))
		return 1;
	fuse_session_loop(session);
	fuse_session_unmount(session);
	return 0;
}
